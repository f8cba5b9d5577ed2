# SPDX-License-Identifier: GPL-2.0-or-later
"""One bit for each page: page frame number `pfn` is bit `pfn % 8` of byte `pfn // 8`, as in a dump file.

Bits are handled in bulk. A *column* is a bytes object with one byte, 0 or 1, for each page of a range; ranges of
pages that a column is read from or applied to start at a multiple of 8.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mdf.core.errors import OutputError

# Bitmaps above this size (4 MiB: 128 GiB of memory in pages of 4 KiB) are kept in a file.
IN_MEMORY_MAX = 4 << 20
_STRETCH_SHIFT = 20
# Pages looked at in one go: a 2 MiB window of struct pages of 64 bytes.
CHUNK = 1 << 15

_SPREAD = tuple(bytes(byte >> bit & 1 for byte in range(256)) for bit in range(8))
_SET_RUN = re.compile(b"\x01+")


def pack(column: bytes | bytearray) -> bytes:
    """The bits of a column, padded with zeros to whole bytes."""
    size = -(-len(column) // 8)
    bits = 0
    for bit in range(8):
        bits |= int.from_bytes(column[bit::8], "little") << bit
    return bits.to_bytes(size, "little")


def unpack(bits: bytes) -> bytes:
    """The column of packed bits."""
    column = bytearray(8 * len(bits))
    for bit, table in enumerate(_SPREAD):
        column[bit::8] = bits.translate(table)
    return bytes(column)


@dataclass(frozen=True)
class Place:
    """Where bitmaps live: in memory up to `in_memory_max` bytes each, above in an unlinked file.

    `directory` is where the file goes (default: TMPDIR or /tmp).
    """

    directory: Path | None = None
    in_memory_max: int = IN_MEMORY_MAX

    @classmethod
    def in_work_dir(cls, directory: Path | None) -> Place:
        """Always in a file of this directory, if there is one (--work-dir)."""
        return cls(directory, 0) if directory else cls()


class Bitmap:
    """`size` bits, all clear at first. What is never set takes no room in a file."""

    def __init__(self, size: int, place: Place = Place()) -> None:
        self.size = size
        self.place = place
        self.nbytes = -(-size // 8)
        self._bits: bytearray | mmap.mmap
        self._stretch = 0
        if self.nbytes > place.in_memory_max:
            self._bits = _file_backed(self.nbytes, place.directory)
        else:
            self._bits = bytearray(self.nbytes)

    def _move_on(self, at: int) -> None:
        """Byte `at` is next: what is mapped of a file counts as the process's memory, so it goes stretch by stretch."""
        if at >> _STRETCH_SHIFT != self._stretch and isinstance(self._bits, mmap.mmap):
            self._stretch = at >> _STRETCH_SHIFT
            self._bits.madvise(mmap.MADV_DONTNEED)  # The file keeps it.

    def __getitem__(self, pfn: int) -> bool:
        return 0 <= pfn < self.size and bool(self._bits[pfn >> 3] >> (pfn & 7) & 1)

    def set_range(self, start: int, end: int) -> None:
        """Sets the bits of [start, end), as far as the bitmap reaches."""
        self._fill(start, end, True)

    def clear_range(self, start: int, end: int) -> None:
        """Clears the bits of [start, end), as far as the bitmap reaches."""
        self._fill(start, end, False)

    def _fill(self, start: int, end: int, value: bool) -> None:
        start, end = max(start, 0), min(end, self.size)
        if start >= end:
            return
        first, last = start >> 3, (end - 1) >> 3
        head, tail = 0xFF << (start & 7) & 0xFF, 0xFF >> (7 - ((end - 1) & 7))
        if first == last:
            head &= tail
        self._merge(first, head, value)
        if last > first:
            self._merge(last, tail, value)
            step = 1 << 20
            for at in range(first + 1, last, step):
                upto = min(at + step, last)
                self._move_on(at)
                self._bits[at:upto] = (b"\xff" if value else b"\x00") * (upto - at)

    def _merge(self, index: int, mask: int, value: bool) -> None:
        byte = self._bits[index]
        self._bits[index] = byte | mask if value else byte & ~mask

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes of packed bits from byte `offset`."""
        self._move_on(offset)
        return bytes(self._bits[offset : offset + size])

    def write(self, offset: int, bits: bytes) -> None:
        """Replaces packed bits from byte `offset`, as far as the bitmap reaches; bits beyond its size are dropped."""
        self._move_on(offset)
        bits = bits[: self.nbytes - offset]
        self._bits[offset : offset + len(bits)] = bits
        if offset + len(bits) == self.nbytes and self.size & 7:
            self._bits[self.nbytes - 1] &= 0xFF >> (8 - (self.size & 7))

    def column(self, start: int, end: int) -> bytes:
        """The bits of [start, end) as a column; `start` is a multiple of 8, and pages beyond the size are clear."""
        size = end - start
        column = unpack(self.read(start >> 3, -(-size >> 3)))[:size]
        return column.ljust(size, b"\x00")

    def clear_column(self, start: int, column: bytes | bytearray) -> None:
        """Clears the bits of the pages from `start` (a multiple of 8) whose byte in `column` is 1."""
        drop = pack(column)
        at = start >> 3
        keep = self.read(at, len(drop))
        drop = drop[: len(keep)]
        left = int.from_bytes(keep, "little") & ~int.from_bytes(drop, "little")
        self._bits[at : at + len(keep)] = left.to_bytes(len(keep), "little")

    def count(self, start: int = 0, end: int | None = None) -> int:
        """How many bits of [start, end) are set."""
        end = self.size if end is None else min(end, self.size)
        total = 0
        while start < end:
            upto = min((start | 0x7FFFF) + 1, end)
            bits = int.from_bytes(self.read(start >> 3, -(-upto >> 3) - (start >> 3)), "little") >> (start & 7)
            total += (bits & ((1 << (upto - start)) - 1)).bit_count()
            start = upto
        return total

    def runs(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """The maximal ranges [first, last) of set bits, in order; a run is cut where `CHUNK` pages end."""
        end = self.size if end is None else min(end, self.size)
        base = start & ~(CHUNK - 1)
        while base < end:
            bits = self.read(base >> 3, CHUNK >> 3)
            if bits.count(0) != len(bits):
                for run in _SET_RUN.finditer(unpack(bits)):
                    first, last = max(base + run.start(), start), min(base + run.end(), end)
                    if first < last:
                        yield first, last
            base += CHUNK

    def copy(self) -> Bitmap:
        """Another bitmap with the same bits, in the same place."""
        other = Bitmap(self.size, self.place)
        step = 1 << 20
        for at in range(0, self.nbytes, step):
            bits = self.read(at, step)
            if bits.count(0) != len(bits):
                other.write(at, bits)
        return other


def _file_backed(nbytes: int, directory: Path | None) -> mmap.mmap:
    import tempfile  # Most runs need no file, and this is half of their start-up.

    try:
        descriptor, name = tempfile.mkstemp(prefix="kdump_bitmap", dir=directory)
        try:
            os.unlink(name)
            os.ftruncate(descriptor, nbytes)
            return mmap.mmap(descriptor, nbytes)
        finally:
            os.close(descriptor)
    except (OSError, OverflowError, ValueError) as error:
        where = directory or tempfile.gettempdir()
        raise OutputError(
            f"Can't make a file for a bitmap of {nbytes} bytes in {where}: {error}",
            hint="Set TMPDIR, or use --work-dir, to name a directory with room.",
        ) from error
