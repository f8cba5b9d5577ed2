# SPDX-License-Identifier: GPL-2.0-or-later
"""Packing by a C library, from address to address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import addressof, c_char

from mdf.core.dumps.codecs.packing import Packer, Room

SameFilled = Callable[[bytes, int], bytes]


def in_place(compress: Callable[[int, int, int], int], same_filled: SameFilled | None = None) -> Packer:
    """Packs with a C function of the page's address, its size, and an address for what it writes: no copies.

    It gives the number of bytes written, of which there may be more than the page has, as far as `room_for` allows; or
    0 for one that does not shrink.
    `same_filled` packs a page that is a single word of 8 bytes over and over, given the word and the size of the page,
    if there is something faster for these.
    """

    def pack(pages: bytearray, size: int, wanted: Sequence[int], room: Room) -> list[int]:
        source, target = addressof(c_char.from_buffer(pages)), addressof(c_char.from_buffer(room))
        sizes, at = [], 0
        for number in wanted:
            start, end = number * size, (number + 1) * size
            if (
                same_filled
                and pages.endswith(word := pages[start : start + 8], start, end)
                and pages[start:end] == word * (size // 8)
            ):
                packed = same_filled(bytes(word), size)
                length = len(packed)
                room[at : at + length] = packed
            else:
                length = compress(source + start, size, target + at)
                if not 0 < length < size:
                    length = size
                    room[at : at + size] = pages[start:end]
            sizes.append(length)
            at += length
        return sizes

    return pack
