# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of Linux 3.5 to 5.9: records one behind the other in a buffer; one of length 0 sends back to its start."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.core.errors import AddressError
from mdf.core.kernel import Kernel
from mdf.dmesg.memory import Region, Structure, variable
from mdf.dmesg.record import Damage, Record

_INT = 4


class StructuredLog:
    """`log_buf` from `log_first_idx` (or, if `partial` and known, `clear_idx`) to `log_next_idx`."""

    def __init__(self, kernel: Kernel, *, partial: bool) -> None:
        info = kernel.info
        size = variable(kernel, "log_buf_len", _INT)
        address = variable(kernel, "log_buf", kernel.dump.bits // 8)
        self._buffer = Region(kernel, address, size, "log_buf")
        self.is_partial = partial and info.symbol("clear_idx") is not None
        self._first = variable(kernel, "clear_idx" if self.is_partial else "log_first_idx", _INT)
        self._next = variable(kernel, "log_next_idx", _INT)
        # `struct log` until 3.10.
        name = "printk_log" if info.size("printk_log") is not None else "log"
        self._structure = Structure(kernel, name)
        self._ts_nsec = self._structure.field(8, f"{name}.ts_nsec")
        self._len = self._structure.field(2, f"{name}.len")
        self._text_len = self._structure.field(2, f"{name}.text_len")
        has_caller = info.offset(f"{name}.caller_id") is not None
        self._caller_id = self._structure.field(4, f"{name}.caller_id") if has_caller else None

    def records(self, damage: Damage) -> Iterator[Record]:
        """The records in order. Each part of the buffer is walked once and forward, so that every damaged log ends."""
        if self._first <= self._next:
            yield from self._walk(self._first, self._next, damage)
        else:
            yield from self._walk(self._first, None, damage)
            yield from self._walk(0, self._next, damage)

    def _walk(self, index: int, stop: int | None, damage: Damage) -> Iterator[Record]:
        """The records from `index` until `stop`, or, if that is None, until the one of length 0."""
        structure = self._structure
        while index != stop:
            if index > self._buffer.size - structure.size:
                return damage.add(f"Index outside log_buf detected: {index:#x}.")
            if stop is not None and index > stop:
                return damage.add(f"The records do not meet log_next_idx {stop:#x}: the last one ends at {index:#x}.")
            try:
                header = self._buffer.read(index, structure.size)
            except AddressError as error:
                return damage.add(f"The records from {index:#x} on are lost: {error}.")
            length = structure.value(header, self._len)
            if not length and stop is None:
                return None
            if length < structure.size:
                return damage.add(f"The records from {index:#x} on are lost: one is of length {length}.")
            try:
                yield self._record(index, header, length - structure.size, damage)
            except AddressError as error:
                damage.add(f"The record at {index:#x} is lost: {error}.")
            index += length
        return None

    def _record(self, index: int, header: bytes, room: int, damage: Damage) -> Record:
        structure = self._structure
        text_len = structure.value(header, self._text_len)
        if text_len > room:
            damage.add(f"The text of the record at {index:#x} is cut: {text_len} bytes in {room}.")
        return Record(
            self._buffer.read(index + structure.size, min(text_len, room)),
            structure.value(header, self._ts_nsec),
            structure.value(header, self._caller_id) if self._caller_id else None,
        )
