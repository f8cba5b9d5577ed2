# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of dump offers, and what it says about the machine that crashed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mdf.core.bitmap import Bitmap, Place
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError
from mdf.core.formats import elf
from mdf.core.formats.elf import EM_MIPS, MACHINES, ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

VMCOREINFO_NOTE = "VMCOREINFO"
XEN_CRASH_INFO_NOTE, XEN_CRASH_INFO_TYPE = "Xen", 0x1000001
XEN_VMCOREINFO_NOTE = "VMCOREINFO_XEN"


@dataclass(frozen=True)
class NoteSegment:
    """The notes as they are in the dump, and what is read of them.

    `vmcoreinfo_offset` is where the VMCOREINFO text begins in `data` (0 if there is none). `xen_crash_info` and
    `xen_vmcoreinfo` are what a Xen hypervisor says of itself.
    """

    data: bytes = b""
    nr_cpus: int = 0
    vmcoreinfo: bytes | None = None
    vmcoreinfo_offset: int = 0
    xen_crash_info: bytes | None = None
    xen_vmcoreinfo: bytes | None = None

    @property
    def xen(self) -> bool:
        """Whether a Xen hypervisor crashed, or a kernel on top of it."""
        return self.xen_crash_info is not None or self.xen_vmcoreinfo is not None

    @classmethod
    def parse(cls, data: bytes, byteorder: ByteOrder) -> NoteSegment:
        """Raises FormatError for a note that does not fit."""
        nr_cpus, text, offset = 0, None, 0
        crash_info, xen_text = None, None
        for note in elf.notes(data, byteorder):
            if note.name == "CORE" and note.type == elf.NT_PRSTATUS:
                nr_cpus += 1
            elif note.name == VMCOREINFO_NOTE and text is None:
                text, offset = note.desc, note.offset
            elif (note.name, note.type) == (XEN_CRASH_INFO_NOTE, XEN_CRASH_INFO_TYPE) and crash_info is None:
                crash_info = note.desc
            elif note.name == XEN_VMCOREINFO_NOTE and xen_text is None:
                xen_text = note.desc
        return cls(data, nr_cpus, text, offset, crash_info, xen_text)


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of physical memory with the virtual address the dump gives it, in bytes (see ProgramHeader)."""

    vaddr: int
    paddr: int
    memsz: int


class Dump(ABC):
    """A dump that is open for reading; close it, or use it as a context manager.

    `page_size` in bytes; `max_mapnr` is one more than the highest page frame number; `level` is the dump level it was
    made with (0 for an image of the whole memory). `segments` are empty for a format that has none. `phys_base` is
    what the dump's own header says (None if it has no place for it); `eraseinfo` says what was erased before.
    `first_paddr` is the physical address of page frame 0.
    """

    kind: str
    page_size: int
    bits: int
    byteorder: ByteOrder
    machine: str
    notes: NoteSegment
    info: Vmcoreinfo | None
    max_mapnr: int
    nr_cpus: int
    level: int = 0
    timestamp: tuple[int, int] = (0, 0)
    utsname: bytes = b""
    phys_base: int | None = None
    eraseinfo: bytes = b""
    incomplete: bool = False
    xen: bool = False
    segments: tuple[Segment, ...] = ()
    first_paddr: int = 0

    def __init__(self, source: Source) -> None:
        self.source = source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self.source.close()

    @abstractmethod
    def read(self, paddr: int, size: int) -> bytes:
        """`size` bytes of physical memory. Raises AddressError for memory that is not in the dump."""

    @abstractmethod
    def read_pages(self, start: int, end: int, buffer: memoryview) -> None:
        """Fills `buffer` with the pages [start, end), all of them `stored`. Raises AddressError."""

    @abstractmethod
    def present(self, max_mapnr: int, place: Place, *, partial_tail: bool) -> Bitmap:
        """The pages that memory has (bitmap 1), below `max_mapnr`, as a bitmap that lives in `place`.

        `partial_tail` says whether the last page of a segment counts if the segment covers only its beginning.
        """

    @abstractmethod
    def stored(self, present: Bitmap) -> Bitmap:
        """Those of the pages in `present` whose data the dump has."""

    @abstractmethod
    def data_column(self, start: int, end: int) -> bytes:
        """1 for each page of [start, end) with data at its first byte; `start` is a multiple of 8."""

    @abstractmethod
    def count_present(self, present: Bitmap, *, partial_tail: bool) -> int:
        """The number of pages that memory has below the size of `present`, as the report counts them."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Physical memory [start, end), whose beginning up to `data_end` is in the file from `offset` on."""

    start: int
    end: int
    data_end: int
    offset: int


def check_memory_top(top: int, page_size: int, source: Source, where: str) -> None:
    """Raises FormatError for memory up to `top` that no file of this size can be the dump of.

    A bit for each page must stay in proportion to the file (64 MiB are always granted), so that a damaged number
    costs neither memory nor time.
    """
    if top > 1 << 56 or top // page_size // 8 > (64 << 20) + source.file_size:
        raise FormatError(f"{source.path}: impossible size: {where} ends at {top:#x}.")


def counts_from_memory(machine: str) -> bool:
    """Whether page frame 0 of a dump is where memory begins, as on arm, and not at the physical address 0."""
    return machine.startswith("arm")


def kernel_word(machine_number: int, bits: int) -> tuple[str, int]:
    """utsname.machine and the word size of the kernel for an e_machine (`bits` for one that is not known).

    MIPS has one number for both word sizes; QEMU writes headers of 64 bits around other kernels of 32 bits.
    """
    if (machine_number, bits) == (EM_MIPS, 64):
        return "mips64", 64
    return MACHINES.get(machine_number, (f"e_machine {machine_number}", bits))


def cut_in_pages(start: int, end: int, page_size: int) -> Iterator[tuple[int, int, int]]:
    """The pieces of [start, end) by page: page frame number, offset in the page, length."""
    while start < end:
        offset = start % page_size
        length = min(page_size - offset, end - start)
        yield start // page_size, offset, length
        start += length
