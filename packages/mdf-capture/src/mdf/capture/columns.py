# SPDX-License-Identifier: GPL-2.0-or-later
"""Columns of an array of structures: a field's test for thousands of them at once.

A *mask* is an integer with one byte for each structure, 0 or 1, the first one in the lowest byte; masks are combined
with `&`, `|` and `& ~`. It is computed from *columns*, one byte of every structure, with operations that run in C.
"""

from __future__ import annotations

from functools import cache

from mdf.core.formats.elf import ByteOrder


@cache
def _bit_table(bit: int) -> bytes:
    """Translates a byte to whether a bit of it is set."""
    return bytes(byte >> bit & 1 for byte in range(256))


@cache
def _any_table(mask: int) -> bytes:
    """Translates a byte to whether any bit of a mask is set in it."""
    return bytes(bool(byte & mask) for byte in range(256))


@cache
def _equal_table(value: int) -> bytes:
    """Translates a byte to whether it has a value."""
    return bytes(byte == value for byte in range(256))


class Columns:
    """The structures, each of `size` bytes, that `data` has one behind the other."""

    def __init__(self, data: bytes, size: int, byteorder: ByteOrder) -> None:
        self.count = len(data) // size
        self._data = data
        self._size = size
        self._byteorder = byteorder
        self._columns: dict[int, bytes] = {}

    def column(self, offset: int) -> bytes:
        """Byte `offset` of every structure."""
        column = self._columns.get(offset)
        if column is None:
            column = self._columns[offset] = self._data[offset :: self._size]
        return column

    def _mask(self, offset: int, size: int, byte: int, table: bytes) -> int:
        """What a table says of byte number `byte`, counted from the lowest, of a field of `size` bytes."""
        at = offset + (byte if self._byteorder == "little" else size - 1 - byte)
        return int.from_bytes(self.column(at).translate(table), "little")

    def bit(self, offset: int, size: int, number: int) -> int:
        """Whether bit `number` of a field of `size` bytes is set."""
        byte, bit = divmod(number, 8)
        return self._mask(offset, size, byte, _bit_table(bit))

    def any_bit(self, offset: int, size: int, bits: int) -> int:
        """Whether any of `bits`, a mask of bits, is set in a field of `size` bytes."""
        mask = 0
        for byte in range(size):
            part = bits >> 8 * byte & 0xFF
            if part:
                mask |= self._mask(offset, size, byte, _any_table(part))
        return mask

    def equals(self, offset: int, size: int, value: int) -> int:
        """Whether a field of `size` bytes has a value, which may be negative."""
        mask = -1
        for byte in reversed(range(size)):
            mask &= self._mask(offset, size, byte, _equal_table(value >> 8 * byte & 0xFF))
            if not mask:
                break
        return mask
