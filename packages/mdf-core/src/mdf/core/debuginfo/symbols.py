# SPDX-License-Identifier: GPL-2.0-or-later
"""The symbol table of a kernel: a hundred thousand entries, of which a few are wanted."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mdf.core.debuginfo.types import offsets_in
from mdf.core.errors import FormatError
from mdf.core.formats.elf import ByteOrder, prefix

_STT_SECTION, _STT_FILE = 3, 4


@dataclass(frozen=True)
class Symbol:
    """A symbol: its address, and the size in bytes of what is there."""

    address: int
    size: int


class SymbolTable:
    """The entries and the strings of one SHT_SYMTAB section. Raises FormatError for a torn table."""

    def __init__(self, entries: bytes, strings: bytes, bits: int, byteorder: ByteOrder) -> None:
        self._layout = struct.Struct(prefix(byteorder) + {64: "IBBHQQ", 32: "IIIBBH"}[bits])
        if len(entries) % self._layout.size:
            raise FormatError(f"the symbol table's {len(entries)} bytes are no whole number of entries")
        if strings[-1:] not in (b"", b"\x00"):
            raise FormatError("the symbol table's strings have no end")
        self._entries = entries
        self._strings = strings
        self._bits = bits

    def find(self, names: Iterable[str]) -> dict[str, Symbol]:
        """The symbols with these names; of several with one name the first."""
        wanted = {offset: name for name in names for offset in offsets_in(self._strings, name)}
        found: dict[str, Symbol] = {}
        for name, address, size, defined in self._symbols():
            if name in wanted and defined:
                found.setdefault(wanted[name], Symbol(address, size))
        return found

    def next_address(self, address: int) -> int | None:
        """The lowest address of a symbol above `address`."""
        return min((at for _, at, _, defined in self._symbols() if defined and at > address), default=None)

    def _symbols(self) -> Iterator[tuple[int, int, int, bool]]:
        """Offset of the name, address, size, and whether it is something in memory."""
        if self._bits == 64:
            for name, info, _, section, address, size in self._layout.iter_unpack(self._entries):
                yield name, address, size, bool(section and address) and info & 15 not in (_STT_SECTION, _STT_FILE)
        else:
            for name, address, size, info, _, section in self._layout.iter_unpack(self._entries):
                yield name, address, size, bool(section and address) and info & 15 not in (_STT_SECTION, _STT_FILE)
