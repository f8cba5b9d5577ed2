# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump-compressed dumps as input, of header versions 1 to 6 and every layout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from mdf.core.bitmap import CHUNK, Bitmap, Place
from mdf.core.dumps.codecs import PageDecoder
from mdf.core.dumps.dump import Dump, NoteSegment, check_memory_top, cut_in_pages
from mdf.core.dumps.source import Source
from mdf.core.errors import AddressError, FormatError, UnsupportedError
from mdf.core.formats import diskdump, elf
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, Flag, Layout, MainHeader, SubHeader
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_CACHED_PAGES = 256
_TEXT_MAX = 64 << 20


class KdumpFile(Dump):
    """A kdump-compressed dump. `main`, `sub` and `layout` are its headers."""

    kind = "kdump compressed"

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.layout, self.main = _recognise(source)
        path, main = source.path, self.main
        if not 1 <= main.version <= diskdump.HEADER_VERSION:
            raise UnsupportedError(f"{path}: a kdump-compressed header of version {main.version} is not supported.")
        size = self.layout.sub(main.version).size
        self.sub = self._parse_sub(source.read(main.block_size, size, "the sub header"))
        self.bits, self.byteorder, self.machine = self.layout.bits, self.layout.byteorder, main.machine
        self.level, self.nr_cpus = self.sub.dump_level, main.nr_cpus
        self.timestamp, self.utsname = (main.tv_sec, main.tv_usec), main.utsname
        self.phys_base = self.sub.phys_base
        self.incomplete = bool(main.status & Flag.INCOMPLETE)
        self.notes = NoteSegment.parse(self._text("notes", self.sub.offset_note, self.sub.size_note), self.byteorder)
        self.eraseinfo = self._text("erase information", self.sub.offset_eraseinfo, self.sub.size_eraseinfo)
        text = self._text("vmcoreinfo", self.sub.offset_vmcoreinfo, self.sub.size_vmcoreinfo)
        self.info = Vmcoreinfo.parse(text) if text else None
        if text and not self.notes.data:  # Version 3 has the text, but no notes.
            self.notes = NoteSegment.parse(elf.pack_note("VMCOREINFO", 0, text, self.byteorder), self.byteorder)
        self.xen = self.notes.xen
        self.page_size = main.block_size
        self.max_mapnr = self.sub.max_mapnr_64 if main.version >= 6 else main.max_mapnr
        check_memory_top(self.max_mapnr * self.page_size, self.page_size, source, "the memory (max_mapnr)")
        self._read_bitmaps()
        self._decoder = PageDecoder(self.page_size)
        self._descriptor = diskdump.descriptor_struct(self.byteorder)
        self._ranks = self._build_ranks()
        self._cache: OrderedDict[int, bytes] = OrderedDict()

    def _parse_sub(self, data: bytes) -> SubHeader:
        sub = self.layout.parse_sub(data, self.main.version)
        if self.layout.bits == 64 or self.main.version < 3:
            return sub
        # The alignment of 8-byte integers shows in whether the first text lies where it can.
        end = (1 + self.main.sub_hdr_size) * self.main.block_size
        offset, size = sub.offset_vmcoreinfo, sub.size_vmcoreinfo
        if not (offset == 0 == size or (self.main.block_size < offset and offset + size <= end)):
            self.layout = Layout(32, 8, self.layout.byteorder)
            size = self.layout.sub(self.main.version).size
            data = self.source.read(self.main.block_size, size, "the sub header")
            sub = self.layout.parse_sub(data, self.main.version)
        return sub

    def _text(self, what: str, offset: int, size: int) -> bytes:
        if not offset or not size:
            return b""
        if size > _TEXT_MAX or offset < 0:
            raise FormatError(f"{self.source.path}: impossible size or offset of its {what}: {size:#x} at {offset:#x}.")
        return self.source.read(offset, size, f"the {what}")

    def _read_bitmaps(self) -> None:
        main, source = self.main, self.source
        nbytes = -(-self.max_mapnr // 8)
        half = main.bitmap_blocks // 2 * main.block_size
        first = (1 + main.sub_hdr_size) * main.block_size
        if nbytes <= half:
            self._offsets = (first, first + half)
        elif nbytes <= main.bitmap_blocks * main.block_size:
            self._offsets = (first, first)  # A dump of one bitmap.
        else:
            raise FormatError(f"{source.path}: its bitmaps are too small for {self.max_mapnr:#x} pages.")
        self._present, self._stored = (self._read_bitmap(offset, nbytes) for offset in self._offsets)
        self._descriptors = first + main.bitmap_blocks * main.block_size

    def _read_bitmap(self, offset: int, nbytes: int) -> Bitmap:
        bitmap = Bitmap(self.max_mapnr)
        step = 1 << 20
        for at in range(0, nbytes, step):
            bitmap.write(at, self.source.read(offset + at, min(step, nbytes - at), "a bitmap"))
        return bitmap

    def _build_ranks(self) -> list[int]:
        """The number of stored pages before each chunk of `CHUNK` pages."""
        ranks, total = [], 0
        for start in range(0, self.max_mapnr, CHUNK):
            ranks.append(total)
            total += self._stored.count(start, start + CHUNK)
        return ranks

    def runs(self) -> Iterator[tuple[int, int]]:
        """The ranges [first, last) of pages that are stored."""
        return self._stored.runs()

    def read(self, paddr: int, size: int) -> bytes:
        pieces = []
        for pfn, offset, length in cut_in_pages(paddr, paddr + size, self.page_size):
            pieces.append(self.page(pfn)[offset : offset + length])
        return b"".join(pieces)

    def page(self, pfn: int) -> bytes:
        """The page `pfn`. Raises AddressError if the dump does not hold it, FormatError if its data is damaged."""
        page = self._cache.get(pfn)
        if page is None:
            if not self._stored[pfn]:
                raise AddressError(f"Page {pfn:#x} is not in {self.source.path} (dump level {self.level}).")
            page = self._load(pfn, self._descriptors_of(pfn, 1))
            self._cache[pfn] = page
            if len(self._cache) > _CACHED_PAGES:
                self._cache.popitem(last=False)
        return page

    def read_pages(self, start: int, end: int, buffer: memoryview) -> None:
        size = self.page_size
        descriptors = self._descriptors_of(start, end - start)
        for index, pfn in enumerate(range(start, end)):
            buffer[index * size : (index + 1) * size] = self._load(pfn, descriptors, index * DESCRIPTOR_SIZE)

    def _descriptors_of(self, pfn: int, count: int) -> bytes:
        chunk = pfn // CHUNK
        rank = self._ranks[chunk] + self._stored.count(chunk * CHUNK, pfn)
        where = self._descriptors + rank * DESCRIPTOR_SIZE
        return self.source.read(where, count * DESCRIPTOR_SIZE, f"the descriptor of page {pfn:#x}")

    def _load(self, pfn: int, descriptors: bytes, at: int = 0) -> bytes:
        offset, size, flags, _ = self._descriptor.unpack_from(descriptors, at)
        if offset == 0:
            raise AddressError(f"Page {pfn:#x} is missing: {self.source.path} is an incomplete dump.")
        if size > self.page_size or offset < 0:
            raise FormatError(f"The descriptor of page {pfn:#x} is damaged: {size} bytes at {offset:#x}.")
        return self._decoder.decode(self.source.read(offset, size, f"page {pfn:#x}"), flags, pfn)

    def present(self, max_mapnr: int, place: Place, *, partial_tail: bool) -> Bitmap:
        return _copied(self._present, max_mapnr, place)

    def stored(self, present: Bitmap) -> Bitmap:
        return _copied(self._stored, present.size, present.place)

    def data_column(self, start: int, end: int) -> bytes:
        return self._present.column(start, end)

    def count_present(self, present: Bitmap, *, partial_tail: bool) -> int:
        return present.count()


def _copied(bitmap: Bitmap, size: int, place: Place) -> Bitmap:
    copy = Bitmap(size, place)
    for first, last in bitmap.runs():
        copy.set_range(first, last)
    return copy


def is_kdump(source: Source) -> bool:
    """Whether the file has the signature of a kdump-compressed dump."""
    return source.read_upto(0, len(diskdump.SIGNATURE)) == diskdump.SIGNATURE


def _recognise(source: Source) -> tuple[Layout, MainHeader]:
    """The layout under which the main header makes sense: a possible block size, and bitmaps that fit the memory."""
    for layout in diskdump.layouts():
        data = source.read_upto(0, layout.main.size)
        if len(data) < layout.main.size:
            raise FormatError(f"{source.path} is truncated in the main header.")
        main = layout.parse_main(data)
        size = main.block_size
        if not 1 << 10 <= size <= 1 << 20 or size & (size - 1) or not 0 < main.sub_hdr_size < 1 << 20:
            continue
        if 8 * main.bitmap_blocks * size >= main.max_mapnr:
            return layout, main
    raise FormatError(f"{source.path}: its main header has impossible sizes (block size, bitmaps).")
