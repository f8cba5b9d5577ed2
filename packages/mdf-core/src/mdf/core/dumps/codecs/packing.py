# SPDX-License-Identifier: GPL-2.0-or-later
"""Packing many pages in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Buffer = bytes | bytearray | memoryview
Room = bytearray | memoryview
Compress = Callable[[Buffer], bytes]


def room_for(count: int, size: int) -> int:
    """The bytes in which a packer works that is given `count` pages of `size` bytes."""
    return count * size + size // 8 + 128


class Packer(Protocol):
    """Packs pages, for use by one thread."""

    def __call__(self, pages: bytearray, size: int, wanted: Sequence[int], room: Room) -> list[int]:
        """Writes the pages of these numbers, packed, one behind the other, to the begin of `room`.

        Returns how many bytes each has. `pages` are of `size` bytes. One that does not get smaller is left as it is,
        and has `size` bytes. `room` has at least as many bytes as `room_for` says.
        """
        ...


def page_by_page(compress: Compress) -> Packer:
    """Packs with a function that takes and gives bytes."""

    def pack(pages: bytearray, size: int, wanted: Sequence[int], room: Room) -> list[int]:
        sizes, at = [], 0
        with memoryview(pages) as view:
            for number in wanted:
                page = view[number * size : (number + 1) * size]
                packed = compress(page)
                length = min(len(packed), size)
                room[at : at + length] = packed if length < size else page
                sizes.append(length)
                at += length
        return sizes

    return pack
