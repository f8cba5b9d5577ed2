# SPDX-License-Identifier: GPL-2.0-or-later
"""Packing by a C library, from address to address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import addressof, c_char

from mdf.core.dumps.codecs.packing import Packer, Room
from mdf.core.dumps.codecs.same_filled import WORD

SameFilled = Callable[[bytes, int, int], bytes]


def in_place(compress: Callable[[int, int, int], int], same_filled: SameFilled | None = None) -> Packer:
    """Packs with a C function of the page's address, its size, and an address for what it writes: no copies.

    It gives the number of bytes written, of which there may be more than the page has, as far as `room_for` allows; or
    0 for one that does not shrink.
    `same_filled` packs a page that is a single word over and over, given the word, and the page's address and size, if
    there is something faster for these.
    """

    def pack(pages: bytearray, size: int, wanted: Sequence[int], room: Room) -> list[int]:
        source, target = addressof(c_char.from_buffer(pages)), addressof(c_char.from_buffer(room))
        sizes, at = [], 0
        for number in wanted:
            start, end = number * size, (number + 1) * size
            if (
                same_filled
                and pages.endswith(word := pages[start : start + WORD], start, end)
                and pages[start:end] == word * (size // WORD)
            ):
                packed = same_filled(bytes(word), source + start, size)
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
