# SPDX-License-Identifier: GPL-2.0-or-later
"""Packing many pages in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Buffer = bytes | bytearray | memoryview
Compress = Callable[[Buffer], bytes]


class Packer(Protocol):
    """Packs pages, for use by one thread."""

    def __call__(self, pages: bytearray, size: int, wanted: Sequence[int]) -> tuple[Buffer, list[int]]:
        """The pages of these numbers, packed, one behind the other, and how many bytes each has.

        `pages` are of `size` bytes. One that does not get smaller is left as it is, and has `size` bytes.
        The result is good until the next call.
        """
        ...


def page_by_page(compress: Compress) -> Packer:
    """Packs with a function that takes and gives bytes."""

    def pack(pages: bytearray, size: int, wanted: Sequence[int]) -> tuple[Buffer, list[int]]:
        data: list[Buffer] = []
        with memoryview(pages) as view:
            for number in wanted:
                page = view[number * size : (number + 1) * size]
                packed = compress(page)
                data.append(packed if len(packed) < size else page)
            return b"".join(data), list(map(len, data))

    return pack
