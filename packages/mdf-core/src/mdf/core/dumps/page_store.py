# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of a kdump-compressed dump: found by descriptor, as they are stored or as they were in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from mdf.core.bitmap import CHUNK, Bitmap
from mdf.core.dumps.codecs import PageDecoder
from mdf.core.dumps.source import Source
from mdf.core.errors import AddressError, FormatError
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, descriptor_struct
from mdf.core.formats.elf import ByteOrder

_CACHED_PAGES = 256
_CHECKED = 1 << 16


@dataclass(frozen=True)
class StoredPage:
    """A page as it is stored: `data` is compressed as `flags` say. The page that all zero pages share has `zero`."""

    pfn: int
    data: bytes
    flags: int
    zero: bool


class PageStore:
    """The pages of `stored`, whose descriptors begin at byte `descriptors` of the file."""

    def __init__(
        self, source: Source, stored: Bitmap, descriptors: int, page_size: int, byteorder: ByteOrder, level: int
    ) -> None:
        self.stored = stored
        self._source = source
        self._descriptors = descriptors
        self._page_size = page_size
        self._level = level
        self._layout = descriptor_struct(byteorder)
        self._decoder = PageDecoder(page_size)
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._ranks = []  # The number of stored pages before each chunk.
        total = 0
        for start in range(0, stored.size, CHUNK):
            self._ranks.append(total)
            total += stored.count(start, start + CHUNK)
        # With level 1, the first page data is the page of zeros.
        self._zero_offset = descriptors + total * DESCRIPTOR_SIZE if level & 1 else -1

    def page(self, pfn: int) -> bytes:
        """The page `pfn`. Raises AddressError if the dump does not hold it, FormatError if its data is damaged."""
        page = self._cache.get(pfn)
        if page is None:
            if not self.stored[pfn]:
                raise AddressError(f"Page {pfn:#x} is not in {self._source.path} (dump level {self._level}).")
            page = self.decode(next(self.pages(pfn, pfn + 1)))
            self._cache[pfn] = page
            if len(self._cache) > _CACHED_PAGES:
                self._cache.popitem(last=False)
        return page

    def pages(self, start: int, end: int) -> Iterator[StoredPage]:
        """The pages [start, end), which are all `stored`. Raises AddressError for one whose data is missing."""
        for pfn, (offset, size, flags, _) in enumerate(self._entries(start, end), start):
            if offset == 0:
                raise AddressError(f"Page {pfn:#x} is missing: {self._source.path} is an incomplete dump.")
            if size > self._page_size or offset < 0:
                raise FormatError(f"The descriptor of page {pfn:#x} is damaged: {size} bytes at {offset:#x}.")
            data = self._source.read(offset, size, f"page {pfn:#x}")
            yield StoredPage(pfn, data, flags, offset == self._zero_offset)

    def decode(self, page: StoredPage) -> bytes:
        """A page as it was in memory. Raises FormatError, MissingCodecError."""
        return self._decoder.decode(page.data, page.flags, page.pfn)

    def held(self) -> Bitmap:
        """Those of the stored pages whose data is really there: an incomplete dump has descriptors without."""
        held = self.stored.copy()
        size = self._source.size
        for start, end in self.stored.runs():
            for first in range(start, end, _CHECKED):
                last = min(first + _CHECKED, end)
                try:
                    entries = list(self._entries(first, last))
                except FormatError:  # Not even the descriptors are there.
                    entries = [(0, 0, 0, 0)] * (last - first)
                for pfn, (offset, length, _, _) in enumerate(entries, first):
                    if offset <= 0 or offset + length > size:
                        held.clear_range(pfn, pfn + 1)
        return held

    def _entries(self, start: int, end: int) -> Iterator[tuple[int, ...]]:
        chunk = start // CHUNK
        rank = self._ranks[chunk] + self.stored.count(chunk * CHUNK, start)
        where = self._descriptors + rank * DESCRIPTOR_SIZE
        data = self._source.read(where, (end - start) * DESCRIPTOR_SIZE, f"the descriptor of page {start:#x}")
        return self._layout.iter_unpack(data)
