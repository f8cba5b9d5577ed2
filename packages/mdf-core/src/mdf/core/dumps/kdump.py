# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump-compressed dumps as input, of header versions 1 to 6 and every layout."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.core.bitmap import Bitmap, Place
from mdf.core.dumps.dump import Dump, NoteSegment, check_memory_top, counts_from_memory, cut_in_pages
from mdf.core.dumps.page_store import PageStore
from mdf.core.dumps.parts import Part, SharedHeaders
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError, UnsupportedError
from mdf.core.formats import diskdump, elf
from mdf.core.formats.diskdump import Flag, Layout, MainHeader, SubHeader
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_TEXT_MAX = 64 << 20


class KdumpFile(Dump):
    """A kdump-compressed dump. `main`, `sub` and `layout` are its headers, `pages` is what it stores.

    Of a split dump all files are to be given, in any order; `parts` are these, in the order of their pages, and the
    headers are those of `source`. Bitmaps live in `place`. Raises FormatError for files that don't belong together, or
    are not all.
    """

    kind = "kdump compressed"

    def __init__(self, source: Source, *others: Source, place: Place | None = None) -> None:
        super().__init__(source)
        self._place = place or Place()
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
        self.first_paddr = self.phys_base if counts_from_memory(self.machine) else 0
        self.incomplete = bool(main.status & Flag.INCOMPLETE)
        self.notes = NoteSegment.parse(self._text("notes", self.sub.offset_note, self.sub.size_note), self.byteorder)
        text = self._text("vmcoreinfo", self.sub.offset_vmcoreinfo, self.sub.size_vmcoreinfo)
        self.info = Vmcoreinfo.parse(text) if text else None
        if text and not self.notes.data:  # Version 3 has the text, but no notes.
            self.notes = NoteSegment.parse(elf.pack_note("VMCOREINFO", 0, text, self.byteorder), self.byteorder)
        self.xen = self.notes.xen
        if self.xen and not self.machine:  # Made without kernel information. Only on x86 does Xen dump its memory.
            self.machine = "x86_64" if self.bits == 64 else "i686"
        self.page_size = main.block_size
        self.max_mapnr = self.sub.max_mapnr_64 if main.version >= 6 else main.max_mapnr
        check_memory_top(self.max_mapnr * self.page_size, self.page_size, source, "the memory (max_mapnr)")
        first, second, descriptors = self._bitmap_offsets()
        shared = SharedHeaders(source, self.layout, main, self.sub, self.max_mapnr, descriptors)
        self.parts = shared.parts(others)
        self.eraseinfo = b"".join(map(self._eraseinfo, self.parts))
        self._present, stored = self._read_bitmap(first), self._read_bitmap(second)
        self.pages = PageStore(self.parts, stored, descriptors, self.page_size, self.byteorder, self.level)
        self._held = self.pages.held() if self.incomplete else stored

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

    def close(self) -> None:
        for part in self.parts:
            part.source.close()

    def _text(self, what: str, offset: int, size: int, source: Source | None = None) -> bytes:
        source = source or self.source
        if not offset or not size:
            return b""
        if size > _TEXT_MAX or offset < 0:
            raise FormatError(f"{source.path}: impossible size or offset of its {what}: {size:#x} at {offset:#x}.")
        return source.read(offset, size, f"the {what}")

    def _eraseinfo(self, part: Part) -> bytes:
        return self._text("erase information", part.sub.offset_eraseinfo, part.sub.size_eraseinfo, part.source)

    def _bitmap_offsets(self) -> tuple[int, int, int]:
        """Where both bitmaps and the page descriptors begin."""
        main, source = self.main, self.source
        nbytes = -(-self.max_mapnr // 8)
        half = main.bitmap_blocks // 2 * main.block_size
        first = (1 + main.sub_hdr_size) * main.block_size
        if nbytes > main.bitmap_blocks * main.block_size:
            raise FormatError(f"{source.path}: its bitmaps are too small for {self.max_mapnr:#x} pages.")
        second = first + half if nbytes <= half else first  # A dump of one bitmap.
        return first, second, first + main.bitmap_blocks * main.block_size

    def _read_bitmap(self, offset: int) -> Bitmap:
        bitmap = Bitmap(self.max_mapnr, self._place)
        step = 1 << 20
        for at in range(0, bitmap.nbytes, step):
            bitmap.write(at, self.source.read(offset + at, min(step, bitmap.nbytes - at), "a bitmap"))
        return bitmap

    def runs(self) -> Iterator[tuple[int, int]]:
        """The ranges [first, last) of pages whose data is there."""
        return self._held.runs()

    def read(self, paddr: int, size: int) -> bytes:
        start = paddr - self.first_paddr
        pieces = cut_in_pages(start, start + size, self.page_size)
        return b"".join(self.pages.page(pfn)[offset : offset + length] for pfn, offset, length in pieces)

    def read_pages(self, start: int, end: int, buffer: memoryview) -> None:
        size = self.page_size
        for index, page in enumerate(self.pages.pages(start, end)):
            buffer[index * size : (index + 1) * size] = self.pages.decode(page)

    def present(self, max_mapnr: int, place: Place, *, partial_tail: bool) -> Bitmap:
        return _copied(self._present, max_mapnr, place)

    def stored(self, present: Bitmap) -> Bitmap:
        return _copied(self._held, present.size, present.place)

    def data_column(self, start: int, end: int) -> bytes:
        return self._present.column(start, end)

    def count_present(self, present: Bitmap, *, partial_tail: bool) -> int:
        return present.count()


def _copied(bitmap: Bitmap, size: int, place: Place) -> Bitmap:
    copy = Bitmap(size, place)
    for first, last in bitmap.runs():
        copy.set_range(first, last)
    return copy


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
