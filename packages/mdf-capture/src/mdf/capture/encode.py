# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages as they are stored: batches of pages, read, tested for zeros, and compressed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdf.capture.sinks import Buffer
from mdf.core.dumps import Dump

if TYPE_CHECKING:
    from mdf.core.dumps.codecs import Codec
    from mdf.core.dumps.codecs.packing import Room

BATCH_BYTES = 1 << 20
_ZERO = re.compile(b"\x00")
Runs = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Batch:
    """The pages of `runs`, `count` of them, to be read into the beginning of `buffer`."""

    buffer: bytearray
    runs: list[tuple[int, int]]
    count: int


def batches(runs: Runs, page_size: int, capacity: int) -> Iterator[Batch]:
    """The pages of `runs`, in order, in batches of up to `capacity`; each is good until the next is asked for."""
    buffer = bytearray(capacity * page_size)
    taken: list[tuple[int, int]] = []
    count = 0
    for start, end in runs:
        while start < end:
            stop = min(end, start + capacity - count)
            taken.append((start, stop))
            count += stop - start
            start = stop
            if count == capacity:
                yield Batch(buffer, taken, count)
                taken, count = [], 0
    if count:
        yield Batch(buffer, taken, count)


@dataclass(frozen=True)
class Encoded:
    """A batch as it is stored: `data` in pieces, and for each page its stored size, 0 for a zero page.

    `pfn` is behind the last of them.
    """

    data: list[Buffer]
    sizes: list[int]
    pfn: int


class Encoder:
    """Reads batches, and encodes them: zero pages are found if `zero`, pages are compressed if there is a codec.

    One encoder is for one process or thread: some codecs keep state.
    """

    def __init__(self, dump: Dump, *, zero: bool, codec: Codec | None) -> None:
        self._dump = dump
        self.page_size = dump.page_size
        self._zeros = bytes(dump.page_size) if zero else b""
        self._pack = codec.packer() if codec else None
        self._room = bytearray()

    def encode(self, batch: Batch, room: Room | None = None) -> Encoded:
        """A page that compression does not make smaller is stored as it is. Compressed pages go to `room`, if given."""
        size, at = self.page_size, 0
        with memoryview(batch.buffer) as view:
            for start, end in batch.runs:
                upto = at + (end - start) * size
                with view[at:upto] as pages:
                    self._dump.read_pages(start, end, pages)
                at = upto
        data, sizes = self.stored(batch.buffer, batch.count, room)
        return Encoded(data, sizes, batch.runs[-1][1])

    def stored(self, pages: bytearray, count: int, room: Room | None = None) -> tuple[list[Buffer], list[int]]:
        """The first `count` pages: data in pieces, good until the next call, and sizes."""
        zero = self._zero_pages(pages, count)
        if not self._pack:
            return self._plain(pages, count, zero)
        if room is None:
            room = self._own_room(count)
        left_out = set(zero)
        sizes = self._pack(pages, self.page_size, [index for index in range(count) if index not in left_out], room)
        end = sum(sizes)
        for index in zero:
            sizes.insert(index, 0)
        return [memoryview(room)[:end]], sizes

    def _zero_pages(self, pages: bytearray, count: int) -> list[int]:
        """The indices of the pages that are all zeros; only those that begin so are looked at as a whole."""
        size, zeros = self.page_size, self._zeros
        if not zeros:
            return []
        begin = (match.start() for match in _ZERO.finditer(pages[: count * size : size]))
        return [index for index in begin if pages.startswith(zeros, index * size)]

    def _plain(self, pages: bytearray, count: int, zero: list[int]) -> tuple[list[Buffer], list[int]]:
        size, view = self.page_size, memoryview(pages)
        sizes = [size] * count
        data: list[Buffer] = []
        start = 0
        for index in zero:
            sizes[index] = 0
            if start < index * size:
                data.append(view[start : index * size])
            start = (index + 1) * size
        if start < count * size:
            data.append(view[start : count * size])
        return data, sizes

    def _own_room(self, count: int) -> bytearray:
        from mdf.core.dumps.codecs.packing import room_for  # There is a codec then, which else is not loaded.

        needed = room_for(count, self.page_size)
        if len(self._room) < needed:
            self._room = bytearray(needed)
        return self._room
