# SPDX-License-Identifier: GPL-2.0-or-later
"""Filtering a kdump-compressed dump again with the same codec: compressed pages are copied as they are."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from mdf.capture.encode import BATCH_BYTES, Encoded, Encoder, Runs
from mdf.capture.rules import DumpLevel
from mdf.capture.sinks import Buffer
from mdf.core.dumps import KdumpFile
from mdf.core.dumps.codecs import Codec
from mdf.core.dumps.page_store import StoredPage, Stretch


class Recoder:
    """Takes the pages of a dump over for one with the same codec.

    What this codec has packed, or could not make smaller, is copied as it is. Other pages are unpacked, and so are
    those that may be zeros, if `zero` pages are wanted and have not been found when the dump was made.
    """

    def __init__(self, dump: KdumpFile, encoder: Encoder, codec: Codec, *, zero: bool) -> None:
        self._dump = dump
        self._encoder = encoder
        self._flag = int(codec.flag)
        # No codec makes more than this part of a page out of a page of zeros.
        self._may_be_zero = dump.page_size // 16 if zero and not dump.level & DumpLevel.ZERO else 0
        self._zeros = bytes(dump.page_size)

    def encoded(self, runs: Runs) -> Generator[Encoded]:
        """The pages of `runs`, in order, in batches."""
        capacity = max(BATCH_BYTES // self._dump.page_size, 1)
        data: list[Buffer] = []
        sizes: list[int] = []
        pfn = 0
        for start, end in runs:
            for stretch in self._dump.pages.stretches(start, end):
                if sizes and len(sizes) + len(stretch.sizes) > capacity:
                    yield Encoded(data, sizes, pfn)
                    data, sizes = [], []
                for piece, lengths in self._taken_over(stretch):
                    data.append(piece)
                    sizes += lengths
                pfn = stretch.pfn + len(stretch.sizes)
        if sizes:
            yield Encoded(data, sizes, pfn)

    def _taken_over(self, stretch: Stretch) -> Iterator[tuple[Buffer, list[int]]]:
        """Data and sizes of a stretch as they are, but for the pages that have to be unpacked."""
        flag, whole = self._flag, self._dump.page_size
        kept, at, first = memoryview(stretch.data), 0, 0
        begin = 0
        for number, (size, flags) in enumerate(zip(stretch.sizes, stretch.flags, strict=True)):
            # The flags of a page of this size as the codec stores it: those that it will have.
            as_it_is = flags == (flag if size < whole else 0)
            if size and not (as_it_is and size > self._may_be_zero):
                yield kept[begin:at], stretch.sizes[first:number]
                page = StoredPage(stretch.pfn + number, stretch.data[at : at + size], flags, False)
                stored = self._anew(page, as_it_is)
                yield stored, [len(stored)]
                begin, first = at + size, number + 1
            at += size
        yield kept[begin:], stretch.sizes[first:]

    def _anew(self, page: StoredPage, as_it_is: bool) -> Buffer:
        """What is stored of a page; nothing for a zero page."""
        raw = self._dump.pages.decode(page)
        if self._may_be_zero and raw == self._zeros:
            return b""
        return page.data if as_it_is else bytes(self._encoder.stored(bytearray(raw), 1)[0][0])
