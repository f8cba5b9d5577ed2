# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages as they are stored: batches of pages, the zero test, and compression."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mdf.capture.sinks import Buffer
from mdf.core.dumps import Dump
from mdf.core.dumps.codecs import Codec

BATCH_BYTES = 1 << 20
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
        self._compress = codec.compressor() if codec else None

    def encode(self, batch: Batch) -> Encoded:
        """A page that compression does not make smaller is stored as it is."""
        return self._packed(batch) if self._compress else self._plain(batch)

    def _plain(self, batch: Batch) -> Encoded:
        size, zeros = self._page_size, self._zeros
        view, used = memoryview(batch.buffer), batch.count * size
        if not zeros:
            return Encoded([view[:used]], [size] * batch.count, batch.pfn)
        startswith = batch.buffer.startswith
        sizes = [0 if startswith(zeros, at) else size for at in range(0, used, size)]
        data: list[Buffer] = []
        start = 0
        for index, stored in enumerate(sizes):
            if not stored:
                if start < index * size:
                    data.append(view[start : index * size])
                start = (index + 1) * size
        if start < used:
            data.append(view[start:used])
        return Encoded(data, sizes, batch.pfn)

    def _packed(self, batch: Batch) -> Encoded:
        size, zeros, compress = self._page_size, self._zeros, self._compress
        assert compress is not None
        view, startswith = memoryview(batch.buffer), batch.buffer.startswith
        data: list[Buffer] = []
        sizes = []
        for at in range(0, batch.count * size, size):
            if zeros and startswith(zeros, at):
                sizes.append(0)
                continue
            page = view[at : at + size]
            packed: Buffer = compress(page)
            if len(packed) >= size:
                packed = page
            data.append(packed)
            sizes.append(len(packed))
        return Encoded(data, sizes, batch.pfn)


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
