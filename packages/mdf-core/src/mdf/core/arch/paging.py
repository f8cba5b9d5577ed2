# SPDX-License-Identifier: GPL-2.0-or-later
"""The page-table walk, driven by a description of the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdf.core.errors import AddressError
from mdf.core.formats.elf import ByteOrder

ReadPhysical = Callable[[int, int], bytes]


@dataclass(frozen=True)
class TableLevel:
    """One level of tables: an entry covers `1 << shift` bytes, a table has `1 << bits` entries.

    `leaf` is the bit that makes an entry map memory itself, 0 at a level that never does and -1 at the last level.
    """

    name: str
    shift: int
    bits: int
    leaf: int = 0


@dataclass(frozen=True)
class PageTables:
    """A radix tree of tables, from the top level down.

    `present` and `address` are masks of an entry; `address` applies to tables and pages alike, and a page keeps of it
    what is above the size that its level covers.
    """

    levels: tuple[TableLevel, ...]
    present: int
    address: int
    byteorder: ByteOrder = "little"
    entry_size: int = 8


@dataclass(frozen=True)
class Step:
    """One entry that a walk looked at: where it is, and its value."""

    level: str
    entry_paddr: int
    entry: int


@dataclass(frozen=True)
class Mapping:
    """Where a virtual address is: its physical address, and how many bytes from there are mapped contiguously."""

    paddr: int
    length: int


class Walker:
    """Walks page tables whose top table is at `root`; `read` reads physical memory.

    The tables used last are kept, so that neighbouring addresses cost no reads.
    """

    _KEPT = 64

    def __init__(self, tables: PageTables, root: int, read: ReadPhysical) -> None:
        self._tables = tables
        self._root = root
        self._read = read
        self._kept: dict[int, bytes] = {}
        self.hits = self.misses = 0

    def translate(self, vaddr: int, trace: Callable[[Step], None] | None = None) -> Mapping:
        """The mapping of `vaddr`. Raises AddressError if an entry on the way is not present or a table unreadable."""
        tables, table = self._tables, self._root
        size = tables.entry_size
        for level in tables.levels:
            index = vaddr >> level.shift & (1 << level.bits) - 1
            data = self._table(table, size << level.bits, vaddr)
            entry = int.from_bytes(data[index * size : (index + 1) * size], tables.byteorder)
            if trace:
                trace(Step(level.name, table + index * size, entry))
            if not entry & tables.present:
                raise AddressError(f"Virtual address {vaddr:#x} is not mapped: {level.name} entry {entry:#x}.")
            if level.leaf == -1 or entry & level.leaf:
                offset_mask = (1 << level.shift) - 1
                offset = vaddr & offset_mask
                return Mapping((entry & tables.address & ~offset_mask) + offset, offset_mask + 1 - offset)
            table = entry & tables.address
        raise AddressError(f"Virtual address {vaddr:#x} is not mapped: no level maps it.")

    def _table(self, paddr: int, size: int, vaddr: int) -> bytes:
        table = self._kept.get(paddr)
        if table is not None:
            self.hits += 1
            return table
        self.misses += 1
        try:
            table = self._read(paddr, size)
        except AddressError as error:
            raise AddressError(f"Virtual address {vaddr:#x} is not mapped: no page table at {paddr:#x}.") from error
        if len(self._kept) >= self._KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[paddr] = table
        return table
