# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel as an ELF file: vmlinux, or its debug information in a file of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType

from mdf.core.debuginfo.btf import read_btf
from mdf.core.debuginfo.sections import SHT_NOTE, SHT_PROGBITS, SHT_SYMTAB, Sections
from mdf.core.debuginfo.symbols import Symbol, SymbolTable
from mdf.core.debuginfo.wanted import Types, Wanted
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
                self._sections = Sections(self._file, header)
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
        """Whatever goes wrong within is one error that names the file: damaged data may raise anything."""
        try:
            yield
        except (FormatError, UnsupportedError) as error:
            raise type(error)(f"{self.path}: {error}", hint=error.hint) from error
        except (MdfError, MemoryError):
            raise
        except OSError as error:
            raise InputError(f"Can't read the file({self.path}). {error.strerror}") from error
        except Exception as error:
            detail = " ".join(str(error).split())[:200] or type(error).__name__
            raise FormatError(f"{self.path}: damaged {what}: {detail}", hint="Is the file complete?") from error

    def section(self, name: str) -> bytes | None:
        """What a section holds, decompressed; None if there is none, or if it has nothing in this file."""
        section = self._sections.named(name)
        if section is None:
            return None
        with self._reading(f"section {name}"):
            return self._sections.data(section)

    @cached_property
    def symbol_table(self) -> SymbolTable:
        """The symbol table. Raises MissingInfoError for a file without one."""
        tables = self._sections.of_type(SHT_SYMTAB)
        if not tables:
            raise MissingInfoError(
                f"{self.path} has no symbol table.", hint="It is stripped: use the kernel's debug package."
            )
        with self._reading("symbol table"):
            strings = self._sections.data(self._sections.linked(tables[0]))
            return SymbolTable(self._sections.data(tables[0]), strings, self.bits, self.byteorder)

    def symbols(self, names: Iterable[str]) -> dict[str, Symbol]:
        """The symbols with these names. Raises MissingInfoError for a file without symbols."""
        table = self.symbol_table
        with self._reading("symbol table"):
            return table.find(names)

    @property
    def has_btf(self) -> bool:
        """Whether there is BTF."""
        return self._sections.named(".BTF") is not None

    @property
    def has_dwarf(self) -> bool:
        """Whether there is DWARF."""
        return any(self._sections.named(name) for name in (".debug_info", ".zdebug_info"))

    def btf(self, wanted: Wanted) -> Types:
        """What BTF knows of `wanted`."""
        with self._reading("BTF"):
            return read_btf(self.section(".BTF") or b"", wanted)

    def dwarf(self, wanted: Wanted) -> Types:
        """What DWARF knows of `wanted`. Raises MissingPackageError without the package that reads DWARF."""
        from mdf.core.debuginfo.dwarf import open_dwarf, read_dwarf

        with self._reading("DWARF"):
            self._sections.check_debug()
            return read_dwarf(open_dwarf(self._file, relocatable=self.relocatable), wanted)

    @cached_property
    def build_id(self) -> str | None:
        """The GNU build-id in hexadecimal, if there is one."""
        for section in self._sections.of_type(SHT_NOTE):
            with self._reading("notes"):
                for note in notes(self._sections.data(section), self.byteorder):
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
        for section in self._sections.of_type(SHT_PROGBITS):
            at = banner.address - section.address if banner else -1
            if 0 <= at < section.size:
                with self._reading(f"section {section.name}"):
                    yield self._sections.data(section, at, 256)
        yield self.section(".rodata") or b""
