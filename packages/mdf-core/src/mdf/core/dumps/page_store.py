# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of a kdump-compressed dump: found by descriptor, as they are stored or as they were in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mdf.core.bitmap import CHUNK, Bitmap
from mdf.core.dumps.codecs import PageDecoder
from mdf.core.dumps.parts import Part
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
    """The pages of `stored`, in files that follow one another.

    In each file the descriptors of its pages begin at byte `descriptors`, and page data at byte `data_offset`, behind
    room for descriptors of all pages. `zero_offset` is where the page of zeros is, or -1.
    """

    def __init__(
        self, parts: Sequence[Part], stored: Bitmap, descriptors: int, page_size: int, byteorder: ByteOrder, level: int
    ) -> None:
        self.stored = stored
        self.descriptors = descriptors
        self._path = parts[0].source.path
        self._parts = [part for part in parts if part.start < part.end]
        self._starts = [part.start for part in self._parts]
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
        self.data_offset = descriptors + total * DESCRIPTOR_SIZE
        # With level 1, the first page data is the page of zeros.
        self.zero_offset = self.data_offset if level & 1 else -1

    def page(self, pfn: int) -> bytes:
        """The page `pfn`. Raises AddressError if the dump does not hold it, FormatError if its data is damaged."""
        page = self._cache.get(pfn)
        if page is None:
            if not self.stored[pfn]:
                raise AddressError(f"Page {pfn:#x} is not in {self._path} (dump level {self._level}).")
            page = self.decode(next(self.pages(pfn, pfn + 1)))
            self._cache[pfn] = page
            if len(self._cache) > _CACHED_PAGES:
                self._cache.popitem(last=False)
        return page

    def pages(self, start: int, end: int) -> Iterator[StoredPage]:
        """The pages [start, end), which are all `stored`. Raises AddressError for one whose data is missing."""
        for part, first, last in self._by_part(start, end):
            for pfn, (offset, size, flags, _) in enumerate(self._entries(part, first, last), first):
                if offset == 0:
                    raise AddressError(f"Page {pfn:#x} is missing: {part.source.path} is an incomplete dump.")
                if size > self._page_size or offset < 0:
                    raise FormatError(f"The descriptor of page {pfn:#x} is damaged: {size} bytes at {offset:#x}.")
                data = part.source.read(offset, size, f"page {pfn:#x}")
                yield StoredPage(pfn, data, flags, offset == self.zero_offset)

    def decode(self, page: StoredPage) -> bytes:
        """A page as it was in memory. Raises FormatError, MissingCodecError."""
        return self._decoder.decode(page.data, page.flags, page.pfn)

    def held(self) -> Bitmap:
        """Those of the stored pages whose data is really there: an incomplete dump has descriptors without."""
        held = self.stored.copy()
        for start, end in self.stored.runs():
            for part, first, last in self._by_part(start, end):
                for at in range(first, last, _CHECKED):
                    self._drop_missing(held, part, at, min(at + _CHECKED, last))
        return held

    def _drop_missing(self, held: Bitmap, part: Part, start: int, end: int) -> None:
        size = part.source.size
        try:
            entries = list(self._entries(part, start, end))
        except FormatError:  # Not even the descriptors are there.
            entries = [(0, 0, 0, 0)] * (end - start)
        for pfn, (offset, length, _, _) in enumerate(entries, start):
            if offset <= 0 or offset + length > size:
                held.clear_range(pfn, pfn + 1)

    def _by_part(self, start: int, end: int) -> Iterator[tuple[Part, int, int]]:
        """The files that have the pages [start, end), each with those that it has."""
        for part in self._parts[bisect_right(self._starts, start) - 1 :]:
            if part.start >= end:
                return
            yield part, max(start, part.start), min(end, part.end)

    def _entries(self, part: Part, start: int, end: int) -> Iterator[tuple[int, ...]]:
        """The descriptors of the pages [start, end), which are all `stored` and in one file."""
        where = self.descriptors + (self._rank(start) - self._rank(part.start)) * DESCRIPTOR_SIZE
        data = part.source.read(where, (end - start) * DESCRIPTOR_SIZE, f"the descriptor of page {start:#x}")
        return self._layout.iter_unpack(data)

    def _rank(self, pfn: int) -> int:
        """The number of stored pages below `pfn`."""
        chunk = pfn // CHUNK
        return self._ranks[chunk] + self.stored.count(chunk * CHUNK, pfn)
