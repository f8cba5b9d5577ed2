# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages as they are stored: batches of pages, the zero test, and compression."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mdf.capture.sinks import Buffer
from mdf.core.dumps import Dump
from mdf.core.dumps.codecs import Codec, Packer

BATCH_BYTES = 1 << 20
_ZERO = re.compile(b"\x00")
Runs = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Batch:
    """Pages one behind the other in the beginning of `buffer`; `pfn` is behind the last of them."""

    buffer: bytearray
    count: int
    pfn: int


def batches(dump: Dump, runs: Runs, ring: int = 1) -> Iterator[Batch]:
    """The pages of `runs`, in order, in batches of up to 1 MiB.

    `ring` buffers are used in turn: a batch is good until `ring` more have been asked for.
    """
    capacity = max(BATCH_BYTES // dump.page_size, 1)
    buffers = [bytearray(capacity * dump.page_size) for _ in range(ring)]
    views = [memoryview(buffer) for buffer in buffers]
    turn = count = pfn = 0
    for start, end in runs:
        while start < end:
            pages = min(end - start, capacity - count)
            at = count * dump.page_size
            dump.read_pages(start, start + pages, views[turn][at : at + pages * dump.page_size])
            count += pages
            start = pfn = start + pages
            if count == capacity:
                yield Batch(buffers[turn], count, pfn)
                turn, count = (turn + 1) % ring, 0
    if count:
        yield Batch(buffers[turn], count, pfn)


@dataclass(frozen=True)
class Encoded:
    """A batch as it is stored: `data` in pieces, and for each page its stored size, 0 for a zero page."""

    data: list[Buffer]
    sizes: list[int]
    pfn: int


class Encoder:
    """Encodes batches: zero pages are found if `zero`, pages are compressed if there is a codec.

    One encoder is for one thread: some codecs keep state.
    """

    def __init__(self, page_size: int, *, zero: bool, codec: Codec | None) -> None:
        self._page_size = page_size
        self._zeros = bytes(page_size) if zero else b""
        self._pack = codec.packer() if codec else None

    def encode(self, batch: Batch) -> Encoded:
        """A page that compression does not make smaller is stored as it is."""
        return self._packed(batch, self._pack) if self._pack else self._plain(batch)

    def _plain(self, batch: Batch) -> Encoded:
        size, view = self._page_size, memoryview(batch.buffer)
        zero = self._zero_pages(batch)
        sizes = [size] * batch.count
        data: list[Buffer] = []
        start = 0
        for index in zero:
            sizes[index] = 0
            if start < index * size:
                data.append(view[start : index * size])
            start = (index + 1) * size
        if start < batch.count * size:
            data.append(view[start : batch.count * size])
        return Encoded(data, sizes, batch.pfn)

    def _zero_pages(self, batch: Batch) -> list[int]:
        """The indices of the pages that are all zeros; only those that begin so are looked at as a whole."""
        size, zeros, buffer = self._page_size, self._zeros, batch.buffer
        if not zeros:
            return []
        first_bytes = buffer[: batch.count * size : size]
        begin = (match.start() for match in _ZERO.finditer(first_bytes))
        return [index for index in begin if buffer.startswith(zeros, index * size)]

    def _packed(self, batch: Batch, pack: Packer) -> Encoded:
        zero = self._zero_pages(batch)
        left_out = set(zero)
        wanted = [index for index in range(batch.count) if index not in left_out]
        data, sizes = pack(batch.buffer, self._page_size, wanted)
        for index in zero:
            sizes.insert(index, 0)
        return Encoded([data], sizes, batch.pfn)


def encoded(dump: Dump, runs: Runs, make_encoder: Callable[[], Encoder], threads: int = 0) -> Iterator[Encoded]:
    """The pages of `runs`, encoded, in order; the result is the same for any number of threads."""
    if threads < 1:
        yield from map(make_encoder().encode, batches(dump, runs))
        return
    window = threads + 2
    yield from _in_threads(batches(dump, runs, window + 1), make_encoder, threads, window)


def _in_threads(
    source: Iterable[Batch], make_encoder: Callable[[], Encoder], threads: int, window: int
) -> Iterator[Encoded]:
    from concurrent.futures import Future, ThreadPoolExecutor
    from threading import local

    own = local()

    def encode(batch: Batch) -> Encoded:
        encoder: Encoder = own.encoder
        return encoder.encode(batch)

    def prepare() -> None:
        own.encoder = make_encoder()

    make_encoder()  # A codec that is missing shows here, in one line.
    with ThreadPoolExecutor(threads, initializer=prepare) as pool:
        pending: deque[Future[Encoded]] = deque()
        try:
            for batch in source:
                pending.append(pool.submit(encode, batch))
                if len(pending) >= window:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
