# SPDX-License-Identifier: GPL-2.0-or-later
"""The page-table walk, driven by a description of the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdf.core.errors import AddressError
from mdf.core.formats.elf import ByteOrder

ReadPhysical = Callable[[int, int], bytes]

AddressBits = int | tuple[tuple[int, int], ...]
"""Where an entry has a physical address: a mask of bits that stand in place, or masks and how far up their bits go."""


@dataclass(frozen=True)
class Leaf:
    """A form of entries that map memory themselves: those whose bits `mask` have the `value`.

    Such an entry maps `1 << shift` bytes, at its bits `address` (0: those of all entries).
    """

    mask: int
    value: int
    shift: int
    address: AddressBits = 0


@dataclass(frozen=True)
class TableLevel:
    """One level of tables: an entry covers `1 << shift` bytes, a table has `1 << bits` entries.

    `leaf` is the bit that makes an entry map memory itself, 0 at a level that never does and -1 at the last level; or
    the forms of such entries. Another entry leads to a table if it is not 0 and its bits `table` (mask and value) say
    so; without that, if it is present. `pointer` is the table's address in it (0: the address bits of all entries).
    """

    name: str
    shift: int
    bits: int
    leaf: int | tuple[Leaf, ...] = 0
    table: tuple[int, int] | None = None
    pointer: AddressBits = 0

    def leaves(self, present: int) -> tuple[Leaf, ...]:
        """The forms of entries that map memory."""
        if isinstance(self.leaf, tuple):
            return self.leaf
        value = present if self.leaf == -1 else present | self.leaf
        return (Leaf(value, value, self.shift),) if self.leaf else ()


@dataclass(frozen=True)
class PageTables:
    """A radix tree of tables, from the top level down.

    `present` is a mask of an entry, `address` where it has a physical address. That applies to tables and pages alike,
    and a page keeps of it what is above the size that its level covers.
    """

    levels: tuple[TableLevel, ...]
    present: int
    address: AddressBits
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
        self._levels = [(level, level.leaves(tables.present)) for level in tables.levels]
        self.root = root
        self._read = read
        self._kept: dict[int, bytes] = {}
        self.hits = self.misses = 0

    def translate(self, vaddr: int, trace: Callable[[Step], None] | None = None) -> Mapping:
        """The mapping of `vaddr`. Raises AddressError if an entry on the way is not present or a table unreadable."""
        tables, table = self._tables, self.root
        size = tables.entry_size
        for level, leaves in self._levels:
            index = vaddr >> level.shift & (1 << level.bits) - 1
            data = self._table(table, size << level.bits, vaddr)
            entry = int.from_bytes(data[index * size : (index + 1) * size], tables.byteorder)
            if trace:
                trace(Step(level.name, table + index * size, entry))
            for leaf in leaves:
                if entry & leaf.mask == leaf.value:
                    offset_mask = (1 << leaf.shift) - 1
                    offset = vaddr & offset_mask
                    paddr = _address(entry, leaf.address or tables.address) & ~offset_mask
                    return Mapping(paddr + offset, offset_mask + 1 - offset)
            mask, value = level.table or (tables.present, tables.present)
            if not entry or entry & mask != value:
                raise AddressError(f"Virtual address {vaddr:#x} is not mapped: {level.name} entry {entry:#x}.")
            table = _address(entry, level.pointer or tables.address)
        raise AddressError(f"Virtual address {vaddr:#x} is not mapped: no level maps it.")

    def at(self, root: int) -> Walker:
        """A walker of the same tables, whose top table is at `root`."""
        return Walker(self._tables, root, self._read)

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


def _address(entry: int, bits: AddressBits) -> int:
    if isinstance(bits, int):
        return entry & bits
    address = 0
    for mask, up in bits:
        part = entry & mask
        address |= part << up if up >= 0 else part >> -up
    return address


def read_mapped(translate: Callable[[int], Mapping], read: ReadPhysical, vaddr: int, size: int) -> bytes:
    """`size` bytes at a virtual address; what is contiguous in memory is read at once. Raises AddressError."""
    pieces, end = [], vaddr + size
    paddr = run = 0
    while vaddr < end:
        mapping = translate(vaddr)
        length = min(mapping.length, end - vaddr)
        if run and mapping.paddr == paddr + run:
            run += length
        else:
            if run:
                pieces.append(read(paddr, run))
            paddr, run = mapping.paddr, length
        vaddr += length
    if run:
        pieces.append(read(paddr, run))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
