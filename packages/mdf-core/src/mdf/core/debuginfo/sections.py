# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections of an ELF file."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

from mdf.core.errors import FormatError, UnsupportedError
from mdf.core.formats.elf import ElfHeader, prefix

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_NOTE, SHT_NOBITS = 0, 1, 2, 7, 8
_SHF_COMPRESSED = 1 << 11
_SHN_XINDEX = 0xFFFF
_COMPRESSION_HEADER = {64: "IIQQ", 32: "III"}  # The last two: size when unpacked, alignment.
_RATIO_MAX = 100  # Debug information packs to a third or a quarter.
_SECTION_HEADER = {64: "IIQQQQIIQQ", 32: "IIIIIIIIII"}


@dataclass(frozen=True)
class Section:
    """A section header. Addresses, offsets and sizes are in bytes; `link` is the number of another section."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int

    @property
    def in_file(self) -> bool:
        """Whether the file holds anything of it."""
        return self.type not in (SHT_NULL, SHT_NOBITS)


class Sections:
    """The sections of `file`, in order. Raises FormatError for headers, names or sections that are not in the file."""

    def __init__(self, file: BinaryIO, header: ElfHeader) -> None:
        self._file, self._header = file, header
        self._size = file.seek(0, os.SEEK_END)
        layout = struct.Struct(prefix(header.byteorder) + _SECTION_HEADER[header.bits])
        self.all: list[Section] = []
        if not header.shoff:
            return
        # Large numbers are in the first section header.
        first = layout.unpack(self._read(header.shoff, layout.size, "the first section header"))
        count, names = header.shnum or first[5], header.shstrndx if header.shstrndx != _SHN_XINDEX else first[6]
        if header.shentsize != layout.size or not names < count:
            raise FormatError(f"impossible section headers: {count} of {header.shentsize} bytes, names in {names}")
        table = self._read(header.shoff, count * layout.size, f"the {count} section headers")
        raw = list(layout.iter_unpack(table))
        strings = self._read(raw[names][4], raw[names][5], "the names of sections")
        for name, type_, flags, address, offset, size, link, *_ in raw:
            text = strings[name : max(strings.find(b"\x00", name), name)].decode("ascii", "replace")
            section = Section(text, type_, flags, address, offset, size, link)
            if section.in_file and offset + size > self._size:
                raise FormatError(
                    f"section {text} reaches beyond the file's end at byte {self._size}: is it truncated?"
                )
            self.all.append(section)

    def named(self, name: str) -> Section | None:
        """The section with this name that has something in the file."""
        return next((section for section in self.all if section.name == name and section.in_file), None)

    def of_type(self, type_: int) -> list[Section]:
        """The sections of one type."""
        return [section for section in self.all if section.type == type_]

    def linked(self, section: Section) -> Section:
        """The section that another one names by its number. Raises FormatError if there is none."""
        if section.link >= len(self.all):
            raise FormatError(f"section {section.name} needs section {section.link}, of {len(self.all)}")
        return self.all[section.link]

    def data(self, section: Section, start: int = 0, size: int | None = None) -> bytes:
        """What a section holds, or so many bytes of it. Raises UnsupportedError for a compressed one: only DWARF is."""
        if section.flags & _SHF_COMPRESSED:
            raise UnsupportedError(f"section {section.name} is compressed")
        length = section.size - start
        return self._read(section.offset + start, length if size is None else min(size, length), section.name)

    def check_debug(self) -> None:
        """Raises FormatError for a debug section that is not in the file, or says that it unpacks to far too much."""
        layout = struct.Struct(prefix(self._header.byteorder) + _COMPRESSION_HEADER[self._header.bits])
        for section in self.all:
            if not section.name.startswith((".debug_", ".zdebug_")):
                continue
            if not section.in_file:
                raise FormatError(f"section {section.name} has nothing in the file")
            if section.flags & _SHF_COMPRESSED:
                header = self._read(section.offset, min(layout.size, section.size), section.name)
                size = layout.unpack(header.ljust(layout.size, b"\x00"))[-2]
                if size > _RATIO_MAX * section.size:
                    raise FormatError(f"impossible size: section {section.name} unpacks {section.size} bytes to {size}")

    def _read(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self._size:
            raise FormatError(f"{what} at byte {offset} ends beyond the file's {self._size} bytes: is it truncated?")
        self._file.seek(offset)
        return self._file.read(size)
