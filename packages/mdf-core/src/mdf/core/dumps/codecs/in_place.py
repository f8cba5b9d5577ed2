# SPDX-License-Identifier: GPL-2.0-or-later
"""Packing by a C library, from address to address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import addressof, c_char

from mdf.core.dumps.codecs.packing import Buffer, Compress, Packer


def in_place(compress: Callable[[int, int, int], int], same_filled: Compress | None = None) -> Packer:
    """Packs with a C function of the page's address, its size, and an address for what it writes: no copies.

    It gives the number of bytes written, an eighth and 128 more than a page has at the most, or 0 for one that does not
    shrink.
    `same_filled` is for pages that are a single word over and over, if there is something faster for these.
    """
    room = bytearray()

    def pack(pages: bytearray, size: int, wanted: Sequence[int]) -> tuple[Buffer, list[int]]:
        nonlocal room
        needed = len(wanted) * size + size // 8 + 128
        if len(room) < needed:
            room = bytearray(needed)
        source, target = addressof(c_char.from_buffer(pages)), addressof(c_char.from_buffer(room))
        sizes, at = [], 0
        for number in wanted:
            start, end = number * size, (number + 1) * size
            if (
                same_filled
                and pages[start : start + 8] == pages[end - 8 : end]
                and _is_one_word(page := pages[start:end])
            ):
                packed = same_filled(page)
                length = len(packed)
                room[at : at + length] = packed
            else:
                length = compress(source + start, size, target + at)
                if not 0 < length < size:
                    length = size
                    room[at : at + size] = pages[start:end]
            sizes.append(length)
            at += length
        return memoryview(room)[:at], sizes

    return pack


def _is_one_word(page: bytearray) -> bool:
    return page[8:] == page[:-8]
