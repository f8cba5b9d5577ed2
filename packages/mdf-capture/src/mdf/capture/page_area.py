# SPDX-License-Identifier: GPL-2.0-or-later
"""The descriptors and the data of a kdump-compressed dump's pages: two areas of the file that grow side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mdf.capture.sinks import Buffer, PartialWriteError, Sink
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE


class PageArea(Protocol):
    """Takes pages in order. `sizes` are the stored sizes, 0 for a page without data of its own."""

    def add(self, descriptors: bytes, data: Sequence[Buffer], sizes: list[int]) -> None:
        """Writes pages, now or later. Raises PartialWriteError, OutputError."""
        ...

    def flush(self) -> None:
        """Writes what is not written yet."""
        ...


class DirectArea:
    """Writes each batch at once, descriptors first.

    When the device is full, the descriptors of pages whose data is not whole are emptied before the error goes on.
    """

    def __init__(self, sink: Sink, descriptor_offset: int, data_offset: int) -> None:
        self._sink = sink
        self._descriptor_offset = descriptor_offset
        self._data_offset = data_offset

    def add(self, descriptors: bytes, data: Sequence[Buffer], sizes: list[int]) -> None:
        try:
            self._sink.write(self._descriptor_offset, [descriptors] if descriptors else [])
        except PartialWriteError as error:
            self._sink.correct(self._descriptor_offset, bytes(error.written))
            raise
        try:
            self._sink.write(self._data_offset, data)
        except PartialWriteError as error:
            kept = _whole_pages(sizes, error.written) * DESCRIPTOR_SIZE
            self._sink.correct(self._descriptor_offset + kept, bytes(len(descriptors) - kept))
            raise
        self._descriptor_offset += len(descriptors)
        self._data_offset += sum(map(len, data))

    def flush(self) -> None:
        pass


class BlockedArea:
    """Collects up to a block (`capacity` bytes) of descriptors and of data, and writes both when one is full.

    A stream shows where the original's blocks end: before a page that would fill the descriptors or the data.
    """

    def __init__(self, sink: Sink, descriptor_offset: int, data_offset: int, capacity: int) -> None:
        self._sink = sink
        self._capacity = capacity
        self._offsets = [descriptor_offset, data_offset]
        self._pending = [bytearray(), bytearray()]

    def add(self, descriptors: bytes, data: Sequence[Buffer], sizes: list[int]) -> None:
        joined = memoryview(b"".join(data))
        pending, at = self._pending, 0
        for index, size in enumerate(sizes):
            full = len(pending[0]) + DESCRIPTOR_SIZE >= self._capacity or len(pending[1]) + size >= self._capacity
            if size and full:
                for area in (0, 1):
                    self._write(area, len(pending[area]))
            if descriptors:
                pending[0] += descriptors[index * DESCRIPTOR_SIZE : (index + 1) * DESCRIPTOR_SIZE]
            pending[1] += joined[at : at + size]
            at += size
            if len(pending[0]) >= self._capacity:  # Many pages without data: a whole block goes, the rest stays.
                self._write(0, self._capacity)

    def flush(self) -> None:
        for area in (1, 0):
            self._write(area, len(self._pending[area]))

    def _write(self, area: int, size: int) -> None:
        pending = self._pending[area]
        if size:
            self._sink.write(self._offsets[area], [bytes(pending[:size])])
            self._offsets[area] += size
            del pending[:size]


def _whole_pages(sizes: list[int], written: int) -> int:
    """How many pages, from the first, have all their data in the first `written` bytes."""
    whole = 0
    for size in sizes:
        written -= size
        if written < 0:
            break
        whole += 1
    return whole
