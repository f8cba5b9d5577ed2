# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF vmcores: /proc/vmcore, dumps by QEMU, and filtered ELF dumps."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace

from mdf.core.bitmap import Bitmap, Place
from mdf.core.dumps.dump import Dump, Extent, NoteSegment, Segment, check_memory_top, counts_from_memory, kernel_word
from mdf.core.dumps.overlaps import first_wins
from mdf.core.dumps.source import Source
from mdf.core.errors import AddressError, FormatError
from mdf.core.formats import elf
from mdf.core.formats.elf import ElfHeader, ProgramHeader
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_INVALID_PADDR = {32: 0xFFFFFFFF, 64: 0xFFFFFFFF_FFFFFFFF}
_NOTES_MAX = 64 << 20
_HEADERS_MAX = 16 << 20
# Segments may share what is in the file (QEMU writes one for each virtual address of the same memory), but not so that
# a small file is terabytes.
_SHARED_MAX = 16


class ElfDump(Dump):
    """An ELF vmcore. `header` and `loads` (PT_LOAD, in the file's order) are those of the file.

    `header_count` is the number of its program headers of all types.

    Without VMCOREINFO in it the page size is that of `given`, of a Xen hypervisor, or of the machine this runs on.
    """

    kind = "ELF"

    def __init__(self, source: Source, given: Vmcoreinfo | None = None) -> None:
        super().__init__(source)
        self.header, headers = _read_headers(source)
        self.header_count = len(headers)
        self.loads = tuple(header for header in headers if header.type == elf.PT_LOAD)
        notes = [header for header in headers if header.type == elf.PT_NOTE and header.offset and header.filesz]
        if not self.loads:
            raise FormatError(f"{source.path}: Can't get the number of PT_LOAD: there is none.")
        if not notes:
            raise FormatError(f"{source.path}: Can't find a PT_NOTE Phdr.")
        for number, load in enumerate(self.loads):
            if load.filesz and load.offset + load.filesz > source.size:
                raise FormatError(
                    f"{source.path} is truncated: PT_LOAD {number} ends at {load.offset + load.filesz:#x},"
                    f" the file has {source.size:#x} bytes."
                )
        data = sum(load.filesz for load in self.loads)
        if data > _SHARED_MAX * source.size:
            raise FormatError(f"{source.path}: impossible size: {data:#x} bytes in the PT_LOADs of {source.size:#x}.")
        self.note_header, last = notes[0], notes[-1]
        self.byteorder = self.header.byteorder
        self.machine, self.bits = kernel_word(self.header.machine, self.header.bits)
        self.notes = NoteSegment.parse(self._notes(self.note_header), self.byteorder)
        # With several note segments, the last one counts.
        read = self.notes if last is self.note_header else NoteSegment.parse(self._notes(last), self.byteorder)
        self.nr_cpus = read.nr_cpus
        self.xen = read.xen
        self.info = Vmcoreinfo.parse(read.vmcoreinfo) if read.vmcoreinfo is not None else None
        others = (given, Vmcoreinfo.parse(read.xen_vmcoreinfo or b""))
        said = self.info or next((info for info in others if info and "PAGESIZE" in info.values), None)
        self.page_size = said.page_size if said else mmap.PAGESIZE
        self.incomplete = bool(self.header.flags & elf.EF_INCOMPLETE)
        self.segments = tuple(Segment(load.vaddr, load.paddr, load.memsz) for load in self.loads)
        valid = [load for load in self.loads if load.paddr != _INVALID_PADDR[self.header.bits]]
        if counts_from_memory(self.machine):
            self.first_paddr = min((load.paddr for load in valid), default=0)
        # From here on, addresses in the dump: those of memory, counted from page frame 0.
        self._valid = [replace(load, paddr=load.paddr - self.first_paddr) for load in valid]
        top = max((load.end for load in self._valid), default=0)
        check_memory_top(top, self.page_size, source, "a PT_LOAD")
        self.max_mapnr = -(-top // self.page_size)
        self._extents = _disjoint(self._valid)
        self._starts = [extent.start for extent in self._extents]
        self._data_pages = _merged(
            (-(-load.paddr // self.page_size), -(-load.file_end // self.page_size)) for load in self._valid
        )

    def _notes(self, header: ProgramHeader) -> bytes:
        if header.filesz > _NOTES_MAX:
            raise FormatError(f"{self.source.path}: impossible size: a PT_NOTE of {header.filesz:#x} bytes.")
        return self.source.read(header.offset, header.filesz, "PT_NOTE")

    def read(self, paddr: int, size: int) -> bytes:
        start = paddr - self.first_paddr
        where = self._offset(start, start + size)
        if where is not None:
            return self.source.read(where, size, "a PT_LOAD")
        buffer = bytearray(size)
        if not self._fill(start, memoryview(buffer)):
            raise AddressError(f"Physical address {paddr:#x} is not in {self.source.path}.")
        return bytes(buffer)

    def read_pages(self, start: int, end: int, buffer: memoryview) -> None:
        if not self._fill(start * self.page_size, buffer[: (end - start) * self.page_size]):
            raise AddressError(f"Page {start:#x} is not in {self.source.path}.")

    def _fill(self, paddr: int, buffer: memoryview) -> bool:
        """Fills a buffer with what the extents have, and zeros between them; False if they have nothing of it."""
        at, end, found = paddr, paddr + len(buffer), False
        where = self._offset(paddr, end)
        if where is not None:
            self.source.read_into(where, buffer, "a PT_LOAD")
            return True
        index = max(bisect_right(self._starts, paddr) - 1, 0)
        while index < len(self._extents) and (extent := self._extents[index]).start < end:
            first, last = max(extent.start, paddr), min(extent.data_end, end)
            found |= first < min(extent.end, end)
            if first < last:
                _clear(buffer, at - paddr, first - paddr)
                where = extent.offset + first - extent.start
                self.source.read_into(where, buffer[first - paddr : last - paddr], "a PT_LOAD")
                at = last
            index += 1
        _clear(buffer, at - paddr, end - paddr)
        return found

    def _offset(self, start: int, end: int) -> int | None:
        """Where memory [start, end) is in the file, if it is there in one piece: nearly all is."""
        index = bisect_right(self._starts, start) - 1
        if index < 0 or end > self._extents[index].data_end:
            return None
        return self._extents[index].offset + start - self._extents[index].start

    def present(self, max_mapnr: int, place: Place, *, partial_tail: bool) -> Bitmap:
        bitmap = Bitmap(max_mapnr, place)
        for load in self._valid:
            bitmap.set_range(*self._pages(load, partial_tail))
        return bitmap

    def _pages(self, load: ProgramHeader, partial_tail: bool) -> tuple[int, int]:
        end = -(-load.end // self.page_size) if partial_tail else load.end // self.page_size
        return load.paddr // self.page_size, end

    def stored(self, present: Bitmap) -> Bitmap:
        bitmap = present.copy()
        for load in self._valid:
            bitmap.clear_range(-(-load.file_end // self.page_size), -(-load.end // self.page_size))
        return bitmap

    def data_column(self, start: int, end: int) -> bytes:
        column = bytearray(end - start)
        for first, last in self._data_pages[max(bisect_right(self._data_pages, (start, start)) - 1, 0) :]:
            if first >= end:
                break
            first, last = max(first, start), min(last, end)
            if first < last:
                column[first - start : last - start] = b"\x01" * (last - first)
        return bytes(column)

    def count_present(self, present: Bitmap, *, partial_tail: bool) -> int:
        # Pages that several segments cover count once for each: the report has always been so.
        ranges = (self._pages(load, partial_tail) for load in self._valid)
        return sum(max(min(end, present.size) - start, 0) for start, end in ranges)

    def segment_pages(self) -> list[tuple[int, int]]:
        """The page frames [start, end) of each segment, those that it covers in part included."""
        return [self._pages(load, True) for load in self._valid]


def _clear(buffer: memoryview, start: int, end: int) -> None:
    if start < end:
        buffer[start:end] = bytes(end - start)


def _read_headers(source: Source) -> tuple[ElfHeader, list[ProgramHeader]]:
    try:
        header = ElfHeader.parse(source.read_upto(0, elf.header_size(64)))
    except FormatError as error:
        raise FormatError(
            f"{source.path}: Can't get valid ehdr: {error}.",
            hint="A dump is an ELF vmcore (/proc/vmcore) or a kdump-compressed file.",
        ) from error
    count, size = header.phnum, elf.program_header_size(header.bits)
    if count == elf.PN_XNUM and header.bits == 64:
        section = source.read(header.shoff, elf.SECTION_HEADER_64_SIZE, "the extended program header count")
        count = elf.extended_count(section, header.byteorder)
    stride = header.phentsize
    if count and stride < size:
        raise FormatError(f"{source.path}: impossible size: e_phentsize is {stride}.")
    if count * stride > _HEADERS_MAX or header.phoff + count * stride > source.size:
        raise FormatError(f"{source.path} is truncated in its {count} program headers at {header.phoff:#x}.")
    data = source.read(header.phoff, count * stride, "the program headers")
    return header, [
        ProgramHeader.parse(data, at, header.bits, header.byteorder) for at in range(0, count * stride, stride or 1)
    ]


def _disjoint(loads: list[ProgramHeader]) -> list[Extent]:
    """The memory of the segments without overlaps, in order of address: the first segment in the file wins."""
    extents = []
    for start, end, index in first_wins([(load.paddr, load.end) for load in loads]):
        load = loads[index]
        data_end = max(min(load.file_end, end), start)
        extents.append(Extent(start, end, data_end, load.offset + start - load.paddr))
    return extents


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
