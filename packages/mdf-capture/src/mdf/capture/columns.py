# SPDX-License-Identifier: GPL-2.0-or-later
"""Columns of an array of structures: a field's test for thousands of them at once.

A *column* is a byte of every structure, as one large integer, the first structure's in the lowest byte. A *mask* is a
column that has 0 or 1 for each structure; masks are combined with `&`, `|` and `but_not`. Python works on such
integers in C, 4 structures at a time.
"""

from __future__ import annotations

from functools import cache

from mdf.core.formats.elf import ByteOrder


@cache
def _ones(count: int) -> int:
    return int.from_bytes(b"\x01" * count, "little")


def but_not(mask: int, other: int) -> int:
    """`mask & ~other`, which takes Python eight times as long, as ~ makes a negative number."""
    return mask ^ (mask & other)


class Columns:
    """The structures, each of `size` bytes, that `data` has one behind the other."""

    def __init__(self, data: bytes, size: int, byteorder: ByteOrder) -> None:
        self.count = len(data) // size
        self.all = _ones(self.count)
        """The mask of all structures."""
        self._data = data
        self._size = size
        self._byteorder = byteorder
        self._columns: dict[int, int] = {}

    def bytes_at(self, offset: int) -> bytes:
        """Byte `offset` of every structure."""
        return self._data[offset :: self._size]

    def _column(self, offset: int, size: int, byte: int) -> int:
        """Byte number `byte`, counted from the lowest, of a field of `size` bytes."""
        at = offset + (byte if self._byteorder == "little" else size - 1 - byte)
        column = self._columns.get(at)
        if column is None:
            column = self._columns[at] = int.from_bytes(self.bytes_at(at), "little")
        return column

    def _any(self, column: int) -> int:
        """Whether any bit is set: all bits of a byte end up in its lowest one, and the others of it are dropped."""
        column |= column >> 4
        column |= column >> 2
        return (column | column >> 1) & self.all

    def bit(self, offset: int, size: int, number: int) -> int:
        """Whether bit `number` of a field of `size` bytes is set."""
        byte, bit = divmod(number, 8)
        return self._column(offset, size, byte) >> bit & self.all

    def any_bit(self, offset: int, size: int, bits: int) -> int:
        """Whether any of `bits`, a mask of bits, is set in a field of `size` bytes."""
        found = 0
        for byte in range(size):
            part = bits >> 8 * byte & 0xFF
            if part:
                found |= self._column(offset, size, byte) & part * self.all
        return self._any(found)

    def equals(self, offset: int, size: int, value: int) -> int:
        """Whether a field of `size` bytes has a value, which may be negative."""
        differs = 0
        for byte in reversed(range(size)):
            differs |= self._column(offset, size, byte) ^ (value >> 8 * byte & 0xFF) * self.all
            # The highest byte often says that none has it.
            if byte == size - 1 and self._any(differs) == self.all:
                return 0
        return self.all ^ self._any(differs)
