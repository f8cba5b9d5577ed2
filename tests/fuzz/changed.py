# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets whose input changes words of a sound file, at the places where a parser reads it.

An input is a byte that the parser may use to choose what it does, and a row of changes, 12 bytes each: which of the
reads, where in it, what to do, how wide the word is, and a value. Words are also exchanged for others that are read:
pointers lead elsewhere, and in circles.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fuzz.target import Target

_ROW = struct.Struct("<HIBBI")
_CHANGES_MAX = 16
_SEEDS = 160

Parse = Callable[[Path, int], object]


class ChangedFile:
    """A file in memory that `write` made, and the places [offset, size] where `parse` reads it."""

    def __init__(self, write: Callable[[Path], object], parse: Parse, byteorder: Literal["little", "big"]) -> None:
        self._descriptor = os.memfd_create("changed")
        self.path = Path(f"/proc/self/fd/{self._descriptor}")
        write(self.path)
        self._byteorder = byteorder
        with _reads_of(self._descriptor) as reads:
            parse(self.path, 0)
        self._reads = sorted(set(reads))

    @contextmanager
    def changed(self, rows: bytes) -> Iterator[Path]:
        """The file with words changed, for a while."""
        before = []
        for row in _ROW.iter_unpack(rows[: min(len(rows) // _ROW.size, _CHANGES_MAX) * _ROW.size]):
            width = 1 << row[3] % 4
            offset = self._place(row[0], row[1], width)
            old = os.pread(self._descriptor, width, offset)
            new = self._new(int.from_bytes(old, self._byteorder), width, row[2], row[4])
            os.pwrite(self._descriptor, (new & (1 << 8 * width) - 1).to_bytes(width, self._byteorder), offset)
            before.append((old, offset))
        try:
            yield self.path
        finally:
            for old, offset in reversed(before):
                os.pwrite(self._descriptor, old, offset)

    def _place(self, read: int, at: int, width: int) -> int:
        offset, size = self._reads[read % len(self._reads)]
        return min(offset + at % size, os.fstat(self._descriptor).st_size - width) & -width

    def _new(self, old: int, width: int, action: int, value: int) -> int:
        action, shift = action % 8, action // 8
        if action == 3:
            other = self._place(value & 0xFFFF, value >> 16, width)
            return int.from_bytes(os.pread(self._descriptor, width, other), self._byteorder)
        shifted, near = value << shift, old + value - (1 << 31)
        return (old ^ shifted, shifted, near, 0, -1, 0, old ^ 1 << value % 64, -(value & 0xFF))[action]


@contextmanager
def _reads_of(descriptor: int) -> Iterator[list[tuple[int, int]]]:
    """The ranges that are read of a file while this lasts."""
    reads: list[tuple[int, int]] = []
    file = os.fstat(descriptor)
    pread, preadv = os.pread, os.preadv

    def note(fd: int, offset: int, size: int) -> None:
        if size and os.path.samestat(os.fstat(fd), file):
            reads.append((offset, size))

    def noted_pread(fd: int, size: int, offset: int) -> bytes:
        data = pread(fd, size, offset)
        note(fd, offset, len(data))
        return data

    def noted_preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
        size = preadv(fd, buffers, offset, flags)
        note(fd, offset, size)
        return size

    os.pread, os.preadv = noted_pread, noted_preadv
    try:
        yield reads
    finally:
        os.pread, os.preadv = pread, preadv


def changing(
    name: str, write: Callable[[Path], object], parse: Parse, byteorder: Literal["little", "big"] = "little"
) -> Target:
    """A target that reads the changed file; the file is made at the first use."""

    @cache
    def file() -> ChangedFile:
        return ChangedFile(write, parse, byteorder)

    def feed(data: bytes) -> None:
        with file().changed(data[1:]) as path:
            parse(path, data[0] if data else 0)

    return Target(name, feed, _rows, 1 + _CHANGES_MAX * _ROW.size)


def _rows() -> Sequence[bytes]:
    """Nothing changed, then one word, then some."""
    chance = random.Random(1)
    counts = [1] * _SEEDS + [3] * (_SEEDS // 4)
    return [b"", *(chance.randbytes(1 + count * _ROW.size) for count in counts)]
