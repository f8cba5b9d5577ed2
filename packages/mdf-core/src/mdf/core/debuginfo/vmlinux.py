# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel as an ELF file: vmlinux, or its debug information in a file of its own."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from mdf.core.debuginfo.btf import read_btf
from mdf.core.debuginfo.symbols import Symbol, SymbolTable
from mdf.core.debuginfo.types import Types, Wanted
from mdf.core.errors import FormatError, InputError, MdfError, MissingInfoError, UnsupportedError
from mdf.core.formats.elf import MACHINES, ByteOrder, ElfHeader, notes

ET_REL = 1
NT_GNU_BUILD_ID = 3
_BANNER = re.compile(rb"Linux version (\S{1,64}) ")


class Vmlinux:
    """Reads one file; use it in a `with` statement.

    `bits` and `byteorder` are the kernel's, `machine` is the name it gives itself in utsname.machine. Raises InputError
    for a file that cannot be read, UnsupportedError for an unknown machine; all methods raise FormatError for damaged
    data.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"Can't open the file({path}). {error.strerror}") from error
        try:
            with self._reading("ELF sections"):
                header = ElfHeader.parse(self._file.read(64))
                self.elf: Any = ELFFile(self._file)
                self._sections = {str(section.name): section for section in self.elf.iter_sections()}
                self._check_sections()
            if header.machine not in MACHINES:
                raise UnsupportedError(f"{path}: kernels of the ELF machine {header.machine} are not supported.")
        except BaseException:
            self._file.close()
            raise
        self.bits = header.bits
        self.byteorder: ByteOrder = header.byteorder
        self.machine = MACHINES[header.machine][0]
        self.relocatable = header.type == ET_REL

    def __enter__(self) -> Vmlinux:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Whatever goes wrong within is one error that names the file: on damaged data pyelftools raises anything."""
        try:
            yield
        except FormatError as error:
            raise FormatError(f"{self.path}: {error}", hint=error.hint) from error
        except (MdfError, MemoryError):
            raise
        except Exception as error:
            known = isinstance(error, (ELFError, DWARFError, zlib.error))
            detail = " ".join(str(error).split())[:200] if known and str(error) else type(error).__name__
            raise FormatError(f"{self.path}: damaged {what}: {detail}", hint="Is the file complete?") from error

    def _check_sections(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        for name, section in self._sections.items():
            if (
                section["sh_type"] not in ("SHT_NULL", "SHT_NOBITS")
                and section["sh_offset"] + section["sh_size"] > size
            ):
                raise FormatError(f"section {name} reaches beyond the file's end at byte {size}: is it truncated?")

    def section(self, name: str) -> bytes | None:
        """What a section holds, decompressed; None if there is none, or if it has nothing in this file."""
        if not self.holds(name):
            return None
        with self._reading(f"section {name}"):
            return bytes(self._sections[name].data())

    def holds(self, *names: str) -> bool:
        """Whether one of these sections is there, with something in this file."""
        return any(name in self._sections and self._sections[name]["sh_type"] != "SHT_NOBITS" for name in names)

    @cached_property
    def symbol_table(self) -> SymbolTable:
        """The symbol table. Raises MissingInfoError for a file without one."""
        table = next((section for section in self._sections.values() if section["sh_type"] == "SHT_SYMTAB"), None)
        if table is None:
            raise MissingInfoError(
                f"{self.path} has no symbol table.", hint="It is stripped: use the kernel's debug package."
            )
        with self._reading("symbol table"):
            strings = self.elf.get_section(table["sh_link"])
            return SymbolTable(table.data(), strings.data(), self.bits, self.byteorder)

    def symbols(self, names: Iterable[str]) -> dict[str, Symbol]:
        """The symbols with these names. Raises MissingInfoError for a file without symbols."""
        table = self.symbol_table
        with self._reading("symbol table"):
            return table.find(names)

    @property
    def has_btf(self) -> bool:
        """Whether there is BTF."""
        return self.holds(".BTF")

    @property
    def has_dwarf(self) -> bool:
        """Whether there is DWARF."""
        return self.holds(".debug_info", ".zdebug_info")

    def btf(self, wanted: Wanted) -> Types:
        """What BTF knows of `wanted`."""
        with self._reading("BTF"):
            return read_btf(self.section(".BTF") or b"", wanted)

    def dwarf(self, wanted: Wanted) -> Types:
        """What DWARF knows of `wanted`."""
        from mdf.core.debuginfo.dwarf import read_dwarf

        with self._reading("DWARF"):
            # The debug sections of a linked kernel are final, whatever relocations are kept beside them.
            return read_dwarf(
                self.elf.get_dwarf_info(relocate_dwarf_sections=self.relocatable, follow_links=False), wanted
            )

    @cached_property
    def build_id(self) -> str | None:
        """The GNU build-id in hexadecimal, if there is one."""
        for section in self._sections.values():
            if section["sh_type"] == "SHT_NOTE":
                with self._reading("notes"):
                    for note in notes(section.data(), self.byteorder):
                        if note.name == "GNU" and note.type == NT_GNU_BUILD_ID:
                            return note.desc.hex()
        return None

    @cached_property
    def release(self) -> str | None:
        """The release in linux_banner; None where the kernel's data is not in this file."""
        for data in self._banners():
            if match := _BANNER.search(data):
                return match[1].decode("ascii", "replace")
        return None

    def _banners(self) -> Iterator[bytes]:
        """Where "Linux version" may be: at the symbol linux_banner, else anywhere in the constants."""
        banner = self.symbols(["linux_banner"]).get("linux_banner")
        for section in self._sections.values():
            at = banner.address - section["sh_addr"] if banner else -1
            if section["sh_type"] == "SHT_PROGBITS" and 0 <= at < section["sh_size"]:
                with self._reading(f"section {section.name}"):
                    self._file.seek(section["sh_offset"] + at)
                    yield self._file.read(256)
        yield self.section(".rodata") or b""
