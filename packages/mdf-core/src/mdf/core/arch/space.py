# SPDX-License-Identifier: GPL-2.0-or-later
"""An address space of ranges that lie in memory as they are, and page tables for the rest."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from mdf.core.arch.machine import required_symbol
from mdf.core.arch.paging import Mapping, PageTables, Step, Walker
from mdf.core.dumps import Dump
from mdf.core.dumps.overlaps import first_wins
from mdf.core.errors import AddressError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

INVALID_ENTRY = (0, 1)
"""For `TableLevel.table`: what is no leaf leads nowhere."""


@dataclass(frozen=True)
class Direct:
    """Virtual addresses [start, end), which are in memory one after the other from `paddr` on."""

    start: int
    end: int
    paddr: int


@dataclass(frozen=True)
class AddressSpace:
    """A `Machine` whose addresses are in the first of the `direct` ranges that has them, else in page tables."""

    phys_base: int
    kernel_base: int
    max_physmem_bits: int
    section_size_bits: int
    walker: Walker
    direct: tuple[Direct, ...] = ()
    mem_map_pfn: int = 0

    def translate(self, vaddr: int, trace: Callable[[Step], None] | None = None) -> Mapping:
        starts, parts = self._parts
        index = bisect_right(starts, vaddr) - 1
        return find(parts[max(index, 0) : index + 1], vaddr) or self.walker.translate(vaddr, trace)

    @cached_property
    def _parts(self) -> tuple[list[int], list[Direct]]:
        """The direct ranges without overlaps, in order of address: a list of them may have thousands."""
        parts = []
        for start, end, index in first_wins([(part.start, part.end) for part in self.direct]):
            part = self.direct[index]
            parts.append(Direct(start, end, part.paddr + start - part.start))
        return [part.start for part in parts], parts

    def physical(self, paddr: int) -> int:
        return paddr

    @property
    def lookups(self) -> tuple[int, int]:
        return self.walker.hits, self.walker.misses


def find(direct: Iterable[Direct], vaddr: int) -> Mapping | None:
    """The mapping of an address that is in one of the ranges."""
    for part in direct:
        if part.start <= vaddr < part.end:
            return Mapping(part.paddr + vaddr - part.start, part.end - vaddr)
    return None


def of_segments(dump: Dump, start: int, end: int) -> Iterator[Direct]:
    """The segments of a dump that have virtual addresses in [start, end)."""
    for segment in dump.segments:
        if start <= segment.vaddr < segment.vaddr + segment.memsz <= end:
            yield Direct(segment.vaddr, segment.vaddr + segment.memsz, segment.paddr)


def without(direct: Iterable[Direct], holes: Iterable[tuple[int, int]]) -> Iterator[Direct]:
    """What is left of ranges without the `holes` [start, end) in them, from low to high addresses each."""
    ordered = sorted(holes)
    for part in direct:
        at = part.start
        for start, end in ordered:
            if at < start < part.end:
                yield Direct(at, start, part.paddr + at - part.start)
            if start < part.end:
                at = max(at, end)
        if at < part.end:
            yield Direct(at, part.end, part.paddr + at - part.start)


def top_table(info: Vmcoreinfo, direct: Iterable[Direct]) -> int:
    """The physical address of the kernel's top page table, at swapper_pg_dir in one of the ranges.

    Raises MissingInfoError without that symbol, AddressError if it is in none of them.
    """
    symbol = required_symbol(info, "swapper_pg_dir")
    top = find(direct, symbol)
    if top is None:
        raise AddressError(f"The kernel's page tables at {symbol:#x} are not in its direct map.")
    return top.paddr


def kernel_tables(dump: Dump, info: Vmcoreinfo, tables: PageTables, direct: Iterable[Direct]) -> Walker:
    """The kernel's own page tables. Raises what `top_table` raises."""
    return Walker(tables, top_table(info, direct), dump.read)


def self_mapped_tables(
    dump: Dump, info: Vmcoreinfo, forms: Iterable[PageTables], offsets: Iterable[int]
) -> tuple[Walker, int]:
    """The kernel's page tables, of one of these forms, and virtual minus physical address of the direct map.

    The kernel writes to its tables, so the right ones are those that map their own top to where it was read.
    Raises MissingInfoError without the symbol swapper_pg_dir, AddressError if no tables are found.
    """
    symbol = required_symbol(info, "swapper_pg_dir")
    tried = dict.fromkeys(offset for offset in offsets if offset <= symbol)
    for form in forms:
        for offset in tried:
            walker = Walker(form, symbol - offset, dump.read)
            with suppress(AddressError):
                if walker.translate(symbol).paddr == symbol - offset:
                    return walker, offset
    raise AddressError(
        f"The kernel's page tables (swapper_pg_dir, {symbol:#x}) are not where its direct map can be.",
        hint="Is the kernel information that of the crashed kernel?",
    )
