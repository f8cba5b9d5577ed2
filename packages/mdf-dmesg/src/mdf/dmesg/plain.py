# SPDX-License-Identifier: GPL-2.0-or-later
"""The log before Linux 3.5: a ring of characters, in which `log_end` counts all that were ever written."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.core.errors import AddressError, FormatError
from mdf.core.kernel import Kernel
from mdf.core.release import Release
from mdf.dmesg.memory import Region, variable
from mdf.dmesg.record import Damage, Record

_LOG_END_IS_INT = Release(2, 6, 25)
_PIECE = 4096
_LINE_MAX = 1 << 16  # Longer than any: what has no newline in it is no log.


class PlainRing:
    """`log_buf`, whose records are lines. When it was last cleared is not known."""

    is_partial = False

    def __init__(self, kernel: Kernel) -> None:
        long = kernel.dump.bits // 8
        size = variable(kernel, "log_buf_len", 4)
        if size.bit_count() != 1:
            raise FormatError(f"Impossible log_buf: its size {size:#x} is no power of two.")
        self._buffer = Region(kernel, variable(kernel, "log_buf", long), size, "log_buf")
        self._end = variable(kernel, "log_end", 4 if kernel.release >= _LOG_END_IS_INT else long)

    def records(self, damage: Damage) -> Iterator[Record]:
        """The lines, each with its newline; the first and the last may be cut, and those that are too long."""
        line = bytearray()
        for piece in self._pieces(damage):
            first, *others = piece.split(b"\n")
            line += first
            for other in others:
                yield Record(bytes(line + b"\n"))
                line = bytearray(other)
            if len(line) >= _LINE_MAX:
                yield Record(bytes(line))
                line.clear()
        if line:
            yield Record(bytes(line))

    def _pieces(self, damage: Damage) -> Iterator[bytes]:
        size, end = self._buffer.size, self._end
        index = end % size
        for start, stop in [(0, end)] if end < size else [(index, size), (0, index)]:
            for offset in range(start, stop, _PIECE):
                try:
                    yield self._buffer.read(offset, min(_PIECE, stop - offset))
                except AddressError as error:
                    damage.add(f"Characters from {offset:#x} of the log are lost: {error}.")
