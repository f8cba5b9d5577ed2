# SPDX-License-Identifier: GPL-2.0-or-later
"""A flattened stream, saved to a file as it came, read in place: as if it had been rearranged."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from mdf.core.dumps.overlaps import first_wins
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError
from mdf.core.formats import flattened

_OFFSET_MAX = 1 << 56
# What no record covers reads as zeros; that should not be nearly all.
_HOLES_MAX = 64 << 20
_HINT = "The sender may have died; mdf-rearrange --keep-partial saves what came."


# Bytes [start, end) of the dump, which are in the stream from an offset on.
Record = tuple[int, int, int]


class FlattenedSource(Source):
    """The dump inside of the stream `raw`; what no record covers reads as zeros. `trailing` bytes are behind its end.

    Raises FormatError for a stream that is damaged, or has no end.
    """

    def __init__(self, raw: Source) -> None:
        self.path = raw.path
        self.file_size = raw.file_size
        self._raw = raw
        starts, ends, offsets = _columns(_records(raw))
        end = offsets[-1] + ends[-1] - starts[-1] if offsets else flattened.HEADER_SIZE
        self.trailing = raw.size - flattened.RECORD_SIZE - end
        self._starts, self._ends, self._offsets = _columns(_disjoint(starts, ends, offsets))
        self.size = self._ends[-1] if self._ends else 0
        if self.size > _HOLES_MAX + 4 * raw.size:
            raise FormatError(f"{raw.path}: impossible size: a stream of {raw.size:#x} bytes is of {self.size:#x}.")

    def close(self) -> None:
        self._raw.close()

    def read(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self.size:
            raise self._truncated(offset, size, what)
        return self._read_copy(offset, size, what)

    def read_into(self, offset: int, buffer: memoryview, what: str) -> None:
        at, end = offset, offset + len(buffer)
        if end > self.size:
            raise self._truncated(offset, len(buffer), what)
        index = max(bisect_right(self._starts, offset) - 1, 0)
        while at < end:
            record_start, record_end, where = self._starts[index], self._ends[index], self._offsets[index]
            index += 1
            first, last = max(record_start, at), min(record_end, end)
            if first >= last:
                if record_end <= at:
                    continue
                first = last = end
            buffer[at - offset : first - offset] = bytes(first - at)
            if first < last:
                self._raw.read_into(where + first - record_start, buffer[first - offset : last - offset], what)
            at = last


def _records(raw: Source) -> Iterator[Record]:
    if flattened.parse_type(raw.read(0, flattened.HEADER_SIZE, "the header of the stream")) != flattened.TYPE:
        raise FormatError(f"{raw.path}: a flattened stream of an unknown type.")
    at = flattened.HEADER_SIZE
    while True:
        if at + flattened.RECORD_SIZE > raw.size:
            raise FormatError(f"{raw.path} is a flattened stream without its end.", hint=_HINT)
        start, size = flattened.parse_record(raw.read(at, flattened.RECORD_SIZE, "a record"))
        if (start, size) == (flattened.END, flattened.END):
            return
        at += flattened.RECORD_SIZE
        if start < 0 or size <= 0 or start + size > _OFFSET_MAX:
            raise FormatError(f"{raw.path}: impossible record of {size} bytes for {start:#x}, at {at:#x}.")
        if at + size > raw.size:
            raise FormatError(f"{raw.path} is a flattened stream without its end.", hint=_HINT)
        yield start, start + size, at
        at += size


def _columns(records: Iterable[Record]) -> tuple[array[int], array[int], array[int]]:
    """The starts, ends and offsets of records: there may be millions."""
    starts, ends, offsets = array("q"), array("q"), array("q")
    for start, end, offset in records:
        starts.append(start)
        ends.append(end)
        offsets.append(offset)
    return starts, ends, offsets


def _disjoint(starts: array[int], ends: array[int], offsets: array[int]) -> Iterator[Record]:
    """The records in order of their place in the dump; where they overlap, the later one in the stream wins."""

    def pieces(numbers: list[int]) -> Iterator[Record]:
        latest = sorted(numbers, reverse=True)
        for start, end, index in first_wins([(starts[number], ends[number]) for number in latest]):
            yield start, end, offsets[latest[index]] + start - starts[latest[index]]

    together: list[int] = []  # Those that may overlap.
    reached = 0
    for number in sorted(range(len(starts)), key=starts.__getitem__):
        if starts[number] >= reached:
            yield from pieces(together)
            together = []
        together.append(number)
        reached = max(reached, ends[number])
    yield from pieces(together)
