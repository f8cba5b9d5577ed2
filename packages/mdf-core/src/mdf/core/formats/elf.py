# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF core records: the header, program headers, and notes, of both classes and byte orders."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mdf.core.errors import FormatError

ByteOrder = Literal["little", "big"]

MAGIC = b"\x7fELF"
IDENT_SIZE = 16
ET_CORE = 4
PT_LOAD = 1
PT_NOTE = 4
PN_XNUM = 0xFFFF
NT_PRSTATUS = 1
EM_MIPS = 8
EF_INCOMPLETE = 1  # e_flags of an ELF dump whose end did not fit on the device

# e_machine -> the name the kernel gives itself in utsname.machine, and the word size of its kernel in bits.
MACHINES = {
    2: ("sparc", 32),
    3: ("i686", 32),
    EM_MIPS: ("mips", 32),
    20: ("ppc", 32),
    21: ("ppc64", 64),
    22: ("s390x", 64),
    40: ("arm", 32),
    43: ("sparc64", 64),
    50: ("ia64", 64),
    62: ("x86_64", 64),
    183: ("aarch64", 64),
    243: ("riscv64", 64),
    258: ("loongarch64", 64),
}

_HEADER = {64: "HHIQQQIHHHHHH", 32: "HHIIIIIHHHHHH"}
_PROGRAM_HEADER = {64: "IIQQQQQQ", 32: "IIIIIIII"}
_SECTION_HEADER_64 = "IIQQQQIIQQ"


def prefix(byteorder: ByteOrder) -> str:
    """The byte-order character of `struct`."""
    return "<" if byteorder == "little" else ">"


@dataclass(frozen=True)
class ElfHeader:
    """The file header. Sizes and offsets are in bytes; `ident` is the raw e_ident."""

    ident: bytes
    bits: int
    byteorder: ByteOrder
    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int

    @classmethod
    def parse(cls, data: bytes) -> ElfHeader:
        """Raises FormatError if `data` (64 bytes, or 52 for the 32-bit class) does not begin an ELF file."""
        if data[:4] != MAGIC:
            raise FormatError("not an ELF file")
        bits = {1: 32, 2: 64}.get(data[4]) if len(data) > IDENT_SIZE else None
        byteorder: ByteOrder | None = {1: "little", 2: "big"}.get(data[5]) if bits else None  # type: ignore[assignment]
        if not bits or not byteorder:
            raise FormatError("ELF header with an unknown class or byte order")
        layout = struct.Struct(prefix(byteorder) + _HEADER[bits])
        if len(data) < IDENT_SIZE + layout.size:
            raise FormatError("truncated in the ELF header")
        return cls(data[:IDENT_SIZE], bits, byteorder, *layout.unpack_from(data, IDENT_SIZE))

    def pack(self) -> bytes:
        """The header as it is on disk."""
        layout = prefix(self.byteorder) + _HEADER[self.bits]
        return self.ident + struct.pack(
            layout,
            self.type,
            self.machine,
            self.version,
            self.entry,
            self.phoff,
            self.shoff,
            self.flags,
            self.ehsize,
            self.phentsize,
            self.phnum,
            self.shentsize,
            self.shnum,
            self.shstrndx,
        )


def header_size(bits: int) -> int:
    """The size of the file header."""
    return IDENT_SIZE + struct.calcsize("<" + _HEADER[bits])


def program_header_size(bits: int) -> int:
    """The size of a program header."""
    return struct.calcsize("<" + _PROGRAM_HEADER[bits])


@dataclass(frozen=True, slots=True)
class ProgramHeader:
    """A segment: `filesz` bytes of the file from `offset` are `memsz` bytes of memory from `paddr`."""

    type: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    @classmethod
    def parse(cls, data: bytes, at: int, bits: int, byteorder: ByteOrder) -> ProgramHeader:
        """The program header at byte `at` of `data`."""
        values = struct.unpack_from(prefix(byteorder) + _PROGRAM_HEADER[bits], data, at)
        if bits == 32:  # p_flags stands near the end there.
            type_, offset, vaddr, paddr, filesz, memsz, flags, align = values
            return cls(type_, flags, offset, vaddr, paddr, filesz, memsz, align)
        return cls(*values)

    def pack(self, bits: int, byteorder: ByteOrder) -> bytes:
        """The program header as it is on disk."""
        if bits == 32:
            values = (self.type, self.offset, self.vaddr, self.paddr, self.filesz, self.memsz, self.flags, self.align)
        else:
            values = (self.type, self.flags, self.offset, self.vaddr, self.paddr, self.filesz, self.memsz, self.align)
        return struct.pack(prefix(byteorder) + _PROGRAM_HEADER[bits], *values)

    @property
    def end(self) -> int:
        """The physical address behind the segment's memory."""
        return self.paddr + self.memsz

    @property
    def file_end(self) -> int:
        """The physical address behind what the file holds of the segment."""
        return self.paddr + min(self.filesz, self.memsz)


def extended_count(section_header: bytes, byteorder: ByteOrder) -> int:
    """The number of program headers (sh_info of the first section header), when e_phnum is `PN_XNUM`."""
    return int(struct.unpack_from(prefix(byteorder) + _SECTION_HEADER_64, section_header)[7])


def pack_extended_count(count: int, byteorder: ByteOrder) -> bytes:
    """The section header that carries `count` program headers, of the 64-bit class."""
    return struct.pack(prefix(byteorder) + _SECTION_HEADER_64, 0, 0, 0, 0, 0, 1, 0, count, 0, 0)


SECTION_HEADER_64_SIZE = struct.calcsize("<" + _SECTION_HEADER_64)


@dataclass(frozen=True)
class Note:
    """One note; `offset` is where `desc` begins in the note segment."""

    name: str
    type: int
    offset: int
    desc: bytes


def pack_note(name: str, type_: int, desc: bytes, byteorder: ByteOrder) -> bytes:
    """A note as it is in a note segment."""
    raw = name.encode("ascii") + b"\x00"
    header = struct.pack(prefix(byteorder) + "III", len(raw), len(desc), type_)
    return header + raw + bytes(-len(raw) % 4) + desc + bytes(-len(desc) % 4)


def notes(segment: bytes, byteorder: ByteOrder) -> Iterator[Note]:
    """The notes of a note segment; padding notes without a name are left out.

    `byteorder` is that of the file, but QEMU's notes of a ppc64le machine are big endian in any file: the order that
    gives the first note the shorter name counts. Raises FormatError for a note that reaches beyond the segment.
    """
    little, big = int.from_bytes(segment[:4], "little"), int.from_bytes(segment[:4], "big")
    if little != big:
        byteorder = "little" if little < big else "big"
    layout = struct.Struct(prefix(byteorder) + "III")
    at = 0
    while at + layout.size <= len(segment):
        namesz, descsz, type_ = layout.unpack_from(segment, at)
        desc = at + layout.size + (namesz + 3 & ~3)
        if desc + descsz > len(segment):
            raise FormatError(f"truncated in the note at byte {at} of the note segment")
        if namesz:
            name = segment[at + layout.size : at + layout.size + namesz].rstrip(b"\x00").decode("ascii", "replace")
            yield Note(name, type_, desc, segment[desc : desc + descsz])
        at = desc + (descsz + 3 & ~3)
