# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel information from a kernel's debug information: from BTF where there is some, else from DWARF."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mdf.core.debuginfo.keys import LINUX, Kind, Row
from mdf.core.debuginfo.symbols import Symbol
from mdf.core.debuginfo.vmlinux import Vmlinux
from mdf.core.debuginfo.wanted import Types, Wanted
from mdf.core.errors import MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

# Bytes, of machines that have only one page size. Others show it by the size of the page that is always zero.
PAGE_SIZES = {"x86_64": 4096, "i686": 4096, "s390x": 4096, "arm": 4096, "riscv64": 4096, "sparc64": 8192}
ZERO_PAGE = "empty_zero_page"


@dataclass(frozen=True)
class Found:
    """What one file says of its kernel. `values` has the lines by key, in their order; `missing` the keys of lines that
    are not known; `sources` what was read. `release` is None where the file has not the kernel's data, `page_size`
    (in bytes) where the machine has several and the file does not tell. `pointers` are variables of rows that may be
    arrays, and are pointers.
    """

    path: Path
    machine: str
    bits: int
    page_size: int | None
    release: str | None
    build_id: str | None
    sources: tuple[str, ...]
    values: Mapping[str, str]
    missing: tuple[str, ...]
    pointers: frozenset[str] = frozenset()

    @property
    def vmcoreinfo(self) -> Vmcoreinfo:
        """The lines, with what is known of OSRELEASE, BUILD-ID and PAGESIZE. Addresses are those in the file."""
        about = {"OSRELEASE": self.release, "BUILD-ID": self.build_id, "PAGESIZE": self.page_size}
        values = {key: str(value) for key, value in about.items() if value is not None}
        return Vmcoreinfo({**values, **self.values}, source=str(self.path), pointers=self.pointers)


def find(path: Path, rows: tuple[Row, ...] = LINUX, *, use_btf: bool = True, dwarf_beside_btf: bool = True) -> Found:
    """What the file at `path` knows of `rows`; without `use_btf` from DWARF alone.

    Source files are in DWARF only: without `dwarf_beside_btf` they are not looked for where there is BTF.

    Raises InputError, FormatError, UnsupportedError, and MissingInfoError for a file without symbols or types.
    """
    with Vmlinux(path) as vmlinux:
        symbols = vmlinux.symbols({*_symbol_names(rows), ZERO_PAGE})
        types, sources = _types(vmlinux, _wanted(rows, symbols), use_btf, dwarf_beside_btf)
        facts = _Facts(vmlinux, symbols, types)
        texts = {row.key: facts.text(row) for row in rows}
        return Found(
            path=path,
            machine=vmlinux.machine,
            bits=vmlinux.bits,
            page_size=_page_size(vmlinux, symbols.get(ZERO_PAGE)),
            release=vmlinux.release,
            build_id=vmlinux.build_id,
            sources=("symbols", *sources),
            values={key: text for key, text in texts.items() if text is not None},
            missing=tuple(key for key, text in texts.items() if text is None),
            pointers=facts.pointers(rows),
        )


def _types(vmlinux: Vmlinux, wanted: Wanted, use_btf: bool, dwarf_beside_btf: bool) -> tuple[Types, tuple[str, ...]]:
    if not (use_btf and vmlinux.has_btf):
        if not vmlinux.has_dwarf:
            raise MissingInfoError(
                f"{vmlinux.path} has no debug information.",
                hint="Use the vmlinux of the kernel's debug package, or of a kernel with CONFIG_DEBUG_INFO_BTF.",
            )
        return vmlinux.dwarf(wanted), ("DWARF",)
    types = vmlinux.btf(wanted)
    if not (dwarf_beside_btf and vmlinux.has_dwarf and wanted.sources):
        return types, ("BTF",)
    types.sources = vmlinux.dwarf(Wanted(sources=wanted.sources)).sources
    return types, ("BTF", "DWARF")


def _symbol_names(rows: Iterable[Row]) -> frozenset[str]:
    kinds = (Kind.SYMBOL, Kind.NEXT_SYMBOL, Kind.VARIABLE, Kind.IS_ARRAY)
    return frozenset(name for row in rows if row.kind in kinds for name in row.lookups)


def _wanted(rows: Iterable[Row], symbols: Mapping[str, Symbol]) -> Wanted:
    """The types that the rows need; an array only where the kernel has the variable."""
    names: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    structures: set[str] = set()
    for row in rows:
        names[row.kind] |= {*row.lookups, *row.bits}
        structures |= {*row.unless, row.of, row.element} - {""}
    members = names[Kind.OFFSET] | names[Kind.LENGTH]
    return Wanted(
        structures=frozenset(structures | names[Kind.SIZE] | {member.partition(".")[0] for member in members}),
        constants=frozenset(names[Kind.NUMBER]),
        arrays=frozenset(names[Kind.VARIABLE] | names[Kind.IS_ARRAY]) & symbols.keys(),
        sources=frozenset(names[Kind.SOURCE]),
    )


class _Facts:
    """What was found, and how the value of each kind of row comes from it."""

    def __init__(self, vmlinux: Vmlinux, symbols: Mapping[str, Symbol], types: Types) -> None:
        self._vmlinux = vmlinux
        self._symbols = symbols
        self._types = types

    def text(self, row: Row) -> str | None:
        """The value of a row, as it is written; None if it is not known."""
        structures = self._types.structures
        if (row.of and row.of not in structures) or any(name in structures for name in row.unless):
            return None
        values = (_VALUES[row.kind](self, row, name) for name in row.lookups)
        value = next((value for value in values if value is not None), None)
        if value is None and row.bits:
            bits = (self._types.constants.get(name) for name in row.bits)
            value = next((1 << bit for bit in bits if bit is not None and 0 <= bit < self._vmlinux.bits), None)
        if value is None or isinstance(value, str):
            return value
        return f"{value:x}" if row.kind in (Kind.SYMBOL, Kind.NEXT_SYMBOL) else str(value)

    def _symbol(self, row: Row, name: str) -> int | None:
        symbol = self._symbols.get(name)
        return symbol.address if symbol else None

    def _next_symbol(self, row: Row, name: str) -> int | None:
        symbol = self._symbols.get(name)
        return self._vmlinux.symbol_table.next_address(symbol.address) if symbol else None

    def _size(self, row: Row, name: str) -> int | None:
        structure = self._types.structures.get(name)
        return structure.size if structure else None

    def _offset(self, row: Row, name: str) -> int | None:
        structure, _, member = name.partition(".")
        known = self._types.structures.get(structure)
        return known.members[member].offset if known and member in known.members else None

    def _length(self, row: Row, name: str) -> int | None:
        structure, _, member = name.partition(".")
        known = self._types.structures.get(structure)
        return known.members[member].length if known and member in known.members else None

    def _variable(self, row: Row, name: str) -> int | None:
        return self._elements(row, name) or None

    def _is_array(self, row: Row, name: str) -> int | None:
        return None if self._elements(row, name) is None else (1 << self._vmlinux.bits - 1) - 2

    def pointers(self, rows: Iterable[Row]) -> frozenset[str]:
        """The variables that might be arrays and are pointers."""
        names = [name for row in rows if row.kind is Kind.VARIABLE for name in row.lookups]
        return frozenset(name for name in names if self._is_pointer(name))

    def _is_pointer(self, name: str) -> bool:
        if name in self._types.arrays:
            return self._types.arrays[name] is None
        symbol = self._symbols.get(name)
        return symbol is not None and symbol.size == self._vmlinux.bits // 8

    def _elements(self, row: Row, name: str) -> int | None:
        """The number of elements of an array. BTF has no variables: there the size of the symbol tells."""
        if name in self._types.arrays:
            return self._types.arrays[name]
        symbol, pointer = self._symbols.get(name), self._vmlinux.bits // 8
        if symbol is None or symbol.size <= pointer:
            return None
        return symbol.size // ((self._size(row, row.element) if row.element else None) or pointer)

    def _number(self, row: Row, name: str) -> int | None:
        return self._types.constants.get(name)

    def _source(self, row: Row, name: str) -> str | None:
        return self._types.sources.get(name)


_VALUES: Mapping[Kind, Callable[[_Facts, Row, str], int | str | None]] = {
    Kind.SYMBOL: _Facts._symbol,
    Kind.NEXT_SYMBOL: _Facts._next_symbol,
    Kind.SIZE: _Facts._size,
    Kind.OFFSET: _Facts._offset,
    Kind.LENGTH: _Facts._length,
    Kind.VARIABLE: _Facts._variable,
    Kind.IS_ARRAY: _Facts._is_array,
    Kind.NUMBER: _Facts._number,
    Kind.SOURCE: _Facts._source,
}


def _page_size(vmlinux: Vmlinux, zero_page: Symbol | None) -> int | None:
    if vmlinux.machine in PAGE_SIZES:
        return PAGE_SIZES[vmlinux.machine]
    if zero_page and zero_page.size in (1 << shift for shift in range(12, 17)):
        return zero_page.size
    return os.sysconf("SC_PAGE_SIZE") if vmlinux.machine == os.uname().machine else None
