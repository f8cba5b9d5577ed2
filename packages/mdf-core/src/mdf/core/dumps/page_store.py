# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages of a kdump-compressed dump: found by descriptor, as they are stored or as they were in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from mdf.core.bitmap import CHUNK, Bitmap
from mdf.core.dumps.codecs import PageDecoder
from mdf.core.dumps.parts import Part
from mdf.core.errors import AddressError, FormatError
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, descriptor_struct
from mdf.core.formats.elf import ByteOrder

_CACHED_PAGES = 256
_CHECKED = 1 << 16
# A stretch has at the most so many bytes, or a page.
_STRETCH = 1 << 20


@dataclass(frozen=True)
class StoredPage:
    """A page as it is stored: `data` is compressed as `flags` say. The page that all zero pages share has `zero`."""

    pfn: int
    data: bytes
    flags: int
    zero: bool


@dataclass(frozen=True)
class Stretch:
    """Pages from `pfn` on whose data lie one behind the other in a file: all of it, and how much is each one's.

    Each is compressed as its `flags` say. The page that all zero pages share is not in `data`; its size here is 0.
    """

    pfn: int
    data: bytes
    sizes: list[int]
    flags: list[int]


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
        for stretch in self.stretches(start, end):
            at = 0
            for pfn, size, flags in zip(count(stretch.pfn), stretch.sizes, stretch.flags, strict=False):
                data = stretch.data[at : at + size] if size else self._zero_page
                yield StoredPage(pfn, data, flags, not size)
                at += size

    def stretches(self, start: int, end: int) -> Iterator[Stretch]:
        """The same pages, as many at a time as can be read at once."""
        pages_max = max(_STRETCH // self._page_size, 1)
        for part, first, last in self._by_part(start, end):
            for at in range(first, last, pages_max):
                yield from self._contiguous(part, at, self._entries(part, at, min(at + pages_max, last)))

    def _contiguous(self, part: Part, pfn: int, entries: Iterator[tuple[int, ...]]) -> Iterator[Stretch]:
        """The pages of a file from `pfn` on, which have these descriptors, in stretches."""
        sizes: list[int] = []
        flags: list[int] = []
        begin = end = 0
        for offset, size, packed, _ in entries:
            zero = offset == self.zero_offset and size == self._page_size and not packed
            good = 0 < size <= self._page_size and 0 < offset <= part.source.size - size
            if sizes and not (good and (zero or not end or offset == end)):
                yield self._stretch(part, pfn, begin, end, sizes, flags)
                pfn, begin, end, sizes, flags = pfn + len(sizes), 0, 0, [], []
            if not good:
                self._refuse(part, pfn, offset, size)
            sizes.append(0 if zero else size)
            flags.append(packed)
            if not zero:
                begin, end = begin or offset, offset + size
        if sizes:
            yield self._stretch(part, pfn, begin, end, sizes, flags)

    def _stretch(self, part: Part, pfn: int, begin: int, end: int, sizes: list[int], flags: list[int]) -> Stretch:
        data = part.source.read(begin, end - begin, f"page {pfn:#x}") if begin else b""
        return Stretch(pfn, data, sizes, flags)

    def _refuse(self, part: Part, pfn: int, offset: int, size: int) -> None:
        """Raises the error for a descriptor that can't be."""
        if offset == 0:
            raise AddressError(f"Page {pfn:#x} is missing: {part.source.path} is an incomplete dump.")
        if not 0 < size <= self._page_size or offset < 0:
            raise FormatError(f"The descriptor of page {pfn:#x} is damaged: {size} bytes at {offset:#x}.")
        part.source.read(offset, size, f"page {pfn:#x}")

    @cached_property
    def _zero_page(self) -> bytes:
        return self._parts[0].source.read(self.zero_offset, self._page_size, "the page of zeros")

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
