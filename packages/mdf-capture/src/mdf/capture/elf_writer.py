# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes an ELF dump: the segments of the input, cut where at least 256 pages in a row are left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mdf.capture.sinks import Sink
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import Dump, ElfDump
from mdf.core.errors import UnsupportedError
from mdf.core.formats import elf
from mdf.core.formats.elf import ProgramHeader
from mdf.core.messages import Progress

RUN_LEFT_OUT = 256  # Shorter runs of left-out pages are written: a program header costs more than they do.
_STEP = 1 << 20
_I386_LOWMEM_END = 0x38000000  # Above it the virtual address in a header means nothing, and stays as it is.


@dataclass(frozen=True)
class Piece:
    """A PT_LOAD to write (its offset not set yet), and how many pages it leaves out at its end.

    `final` is the last piece of a segment of the input.
    """

    load: ProgramHeader
    left_out: int
    final: bool


def pieces(dump: ElfDump, keep: Bitmap) -> list[Piece]:
    """The input's PT_LOADs, cut by the pages to keep."""
    invalid = (1 << dump.header.bits) - 1
    return [piece for load in dump.loads if load.paddr != invalid for piece in _cut(load, keep, dump)]


def _cut(load: ProgramHeader, keep: Bitmap, dump: ElfDump) -> Iterator[Piece]:
    """The head of a segment that begins inside a page is always written."""
    page_size, base = dump.page_size, dump.first_paddr
    first_page = -(-(load.paddr - base) // page_size)
    start = named = load.paddr
    limit = _I386_LOWMEM_END if fnmatchcase(dump.machine, "i?86") else load.end
    data_end = min(base + first_page * page_size, load.end)
    for first, last in keep.runs(first_page, -(-(load.end - base) // page_size)):
        address = base + first * page_size
        gap = (address - data_end) // page_size
        if gap >= RUN_LEFT_OUT:
            yield Piece(_part(load, start, address, data_end, named), gap, final=False)
            start = address
            named = start if start < limit else named
        data_end = min(base + last * page_size, load.end)
    yield Piece(_part(load, start, load.end, data_end, named), -(-(load.end - data_end) // page_size), final=True)


def _part(load: ProgramHeader, start: int, end: int, data_end: int, named: int) -> ProgramHeader:
    """A piece of a segment; the virtual address in its header is that of the physical address `named`."""
    vaddr = (load.vaddr + named - load.paddr) & ((1 << 64) - 1)
    return replace(load, paddr=start, vaddr=vaddr, filesz=data_end - start, memsz=end - start)


def exclude_zero_pages(dump: Dump, keep: Bitmap, progress: Progress) -> Bitmap:
    """Clears the zero pages in `keep`; returns which they are. This reads all pages of `keep`."""
    size = dump.page_size
    capacity = max(_STEP // size, 1)
    zeros, buffer, found = bytes(size), bytearray(capacity * size), Bitmap(keep.size, keep.place)
    view = memoryview(buffer)
    for start, end in keep.runs():
        progress.update(start, keep.size)
        for first in range(start, end, capacity):
            last = min(first + capacity, end)
            dump.read_pages(first, last, view)
            for pfn in range(first, last):
                if buffer.startswith(zeros, (pfn - first) * size):
                    found.set_range(pfn, pfn + 1)
    for start, end in found.runs():
        keep.clear_range(start, end)
    return found


class ElfWriter:
    """Writes one ELF dump of `pieces` to a sink."""

    def __init__(self, sink: Sink, dump: ElfDump, pieces: list[Piece]) -> None:
        self._sink = sink
        self._dump = dump
        bits = dump.header.bits
        self._count = 1 + len(pieces)
        extended = self._count >= elf.PN_XNUM
        if extended and bits == 32:
            raise UnsupportedError(
                f"{self._count} program headers are too many for a 32-bit ELF file.",
                hint="Write the kdump-compressed format instead (without -E).",
            )
        self._headers_end = elf.header_size(bits) + self._count * elf.program_header_size(bits)
        self._extended = extended
        note_offset = self._headers_end + (elf.SECTION_HEADER_64_SIZE if extended else 0)
        self._note = replace(dump.note_header, offset=note_offset)
        offset = note_offset + dump.note_header.filesz
        self._loads = []
        for piece in pieces:
            load = piece.load
            # An empty segment has no place in the file, unless it ends a segment of the input.
            self._loads.append(replace(load, offset=offset if load.filesz or piece.final else 0))
            offset += load.filesz

    def write(self, progress: Progress) -> None:
        """Writes everything. A file that is not finished describes the segments that are whole."""
        bits, stream = self._dump.header.bits, self._sink.stream
        start, size = elf.header_size(bits), elf.program_header_size(bits)
        self._sink.write(0, [self._file_header(0 if stream else elf.EF_INCOMPLETE)])
        if not stream:
            self._sink.write(start, [bytes(self._note.offset - start)])
        self._sink.write(self._note.offset, [self._dump.notes.data])
        if not stream:
            self._sink.correct(self._headers_end, self._extended_count())
            self._sink.correct(start, self._packed(self._note))
        for number, load in enumerate(self._loads, 1):
            self._copy(load)
            if not stream:
                self._sink.correct(start + number * size, self._packed(load))
            progress.update(number, len(self._loads))
        self._sink.write(start, [b"".join(map(self._packed, (self._note, *self._loads)))])
        if self._extended:
            self._sink.write(self._headers_end, [self._extended_count()])
        if not stream:
            self._sink.correct(0, self._file_header(0))

    def _copy(self, load: ProgramHeader) -> None:
        done = 0
        while done < load.filesz:
            data = self._dump.read(load.paddr + done, min(_STEP, load.filesz - done))
            self._sink.write(load.offset + done, [data])
            done += len(data)

    def _packed(self, header: ProgramHeader) -> bytes:
        return header.pack(self._dump.header.bits, self._dump.byteorder)

    def _extended_count(self) -> bytes:
        """Where the number of program headers is if e_phnum has no room for it."""
        return elf.pack_extended_count(self._count, self._dump.byteorder) if self._extended else b""

    def _file_header(self, flags: int) -> bytes:
        header = self._dump.header
        size = elf.header_size(header.bits)
        # What QEMU puts before the program headers is not taken along.
        if header.phoff != size:
            header = replace(header, phoff=size, shoff=0, shnum=0, shentsize=0, shstrndx=0)
        changed = replace(header, flags=header.flags & ~elf.EF_INCOMPLETE | flags, phnum=self._count)
        if self._extended:
            changed = replace(
                changed,
                phnum=elf.PN_XNUM,
                shoff=self._headers_end,
                shentsize=elf.SECTION_HEADER_64_SIZE,
                shnum=1,
                shstrndx=0,
            )
        return changed.pack()
