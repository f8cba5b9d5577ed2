# SPDX-License-Identifier: GPL-2.0-or-later
"""Filtering a kdump-compressed dump again with the same codec: compressed pages are copied as they are."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.capture.encode import BATCH_BYTES, Batch, Encoded, Encoder, Runs
from mdf.capture.sinks import Buffer
from mdf.core.dumps import KdumpFile
from mdf.core.dumps.codecs import Codec
from mdf.core.dumps.page_store import StoredPage

_SMALL = 16  # No codec makes more than this part of a page out of a page of zeros.


class Recoder:
    """Takes the pages of a dump over for one with the same codec.

    A page is inflated only if it may be all zeros (and `zero` pages are wanted), or is compressed in another way.
    """

    def __init__(self, dump: KdumpFile, encoder: Encoder, codec: Codec, *, zero: bool) -> None:
        self._dump = dump
        self._encoder = encoder
        self._flag = codec.flag
        self._zeros = bytes(dump.page_size) if zero else b""

    def encoded(self, runs: Runs) -> Iterator[Encoded]:
        """The pages of `runs`, in order, in batches."""
        capacity = max(BATCH_BYTES // self._dump.page_size, 1)
        data: list[Buffer] = []
        sizes: list[int] = []
        end = 0
        for start, end in runs:
            for page in self._dump.pages.pages(start, end):
                stored = self._stored(page)
                if stored:
                    data.append(stored)
                sizes.append(len(stored))
                if len(sizes) == capacity:
                    yield Encoded(data, sizes, page.pfn + 1)
                    data, sizes = [], []
        if sizes:
            yield Encoded(data, sizes, end)

    def _stored(self, page: StoredPage) -> Buffer:
        """What is stored of a page; nothing for a zero page."""
        if page.zero:
            return b""
        as_it_is = page.flags == self._flag
        if as_it_is and (not self._zeros or len(page.data) > self._dump.page_size // _SMALL):
            return page.data
        raw = self._dump.pages.decode(page)
        if raw == self._zeros:
            return b""
        return page.data if as_it_is else self._encoder.encode(Batch(bytearray(raw), 1, page.pfn + 1)).data[0]
