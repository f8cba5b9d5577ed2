# SPDX-License-Identifier: GPL-2.0-or-later
"""x86_64: every kernel address goes through page tables of 4 or 5 levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdf.core.arch.machine import Architecture, at_release, exported_or, required_symbol
from mdf.core.arch.paging import Mapping, PageTables, Step, TableLevel, Walker
from mdf.core.dumps import Dump
from mdf.core.dumps.dump import Segment
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

START_KERNEL_MAP = 0xFFFFFFFF_80000000
_KERNEL_HALF = 1 << 63
_INVALID_PADDR = 0xFFFFFFFF_FFFFFFFF
_PSE = 1 << 7
_ADDRESS = (1 << 52) - (1 << 12)

_FOUR_LEVELS = (
    TableLevel("PGD", 39, 9),
    TableLevel("PUD", 30, 9, _PSE),
    TableLevel("PMD", 21, 9, _PSE),
    TableLevel("PTE", 12, 9, -1),
)
FOUR_LEVEL_TABLES = PageTables(_FOUR_LEVELS, present=1, address=_ADDRESS)
_FIVE_LEVELS = (TableLevel("PGD", 48, 9), TableLevel("P4D", 39, 9), *_FOUR_LEVELS[1:])

# MAX_PHYSMEM_BITS and page_offset of kernels before a release (kernels with 5 levels have their own).
_MAX_PHYSMEM_BITS = ((Release(2, 6, 26), 40), (Release(2, 6, 31), 44))
_PAGE_OFFSET = ((Release(2, 6, 27), 0xFFFF8100_00000000),)


@dataclass(frozen=True)
class X86_64:  # noqa: N801 (the machine's name)
    """The address space of an x86_64 kernel."""

    phys_base: int
    kernel_base: int
    max_physmem_bits: int
    section_size_bits: int
    sme_mask: int
    walker: Walker
    mem_map_pfn: int = 0

    def translate(self, vaddr: int, trace: Callable[[Step], None] | None = None) -> Mapping:
        return self.walker.translate(vaddr, trace)

    def physical(self, paddr: int) -> int:
        return paddr & ~self.sme_mask

    @property
    def lookups(self) -> tuple[int, int]:
        return self.walker.hits, self.walker.misses


def machine(dump: Dump, info: Vmcoreinfo) -> X86_64:
    """The address space, from what the kernel exports and, where it does not, from the dump's segments."""
    release = info.release
    five_levels = bool(info.number("pgtable_l5_enabled"))
    # An encrypted machine's page tables and struct pages carry this bit in their addresses.
    sme_mask = (info.number("sme_mask") or 0) & _INVALID_PADDR
    base = phys_base(dump, info)
    root = required_symbol(info, "init_level4_pgt", "init_top_pgt", "swapper_pg_dir") - START_KERNEL_MAP + base
    tables = PageTables(_FIVE_LEVELS if five_levels else _FOUR_LEVELS, present=1, address=_ADDRESS & ~sme_mask)
    bits = 52 if five_levels else at_release(_MAX_PHYSMEM_BITS, release, 46)
    default = 0xFF100000_00000000 if five_levels else at_release(_PAGE_OFFSET, release, 0xFFFF8800_00000000)
    return X86_64(
        phys_base=base,
        kernel_base=_page_offset(dump.segments, default),
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", bits),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 27),
        sme_mask=sme_mask,
        walker=Walker(tables, root & _INVALID_PADDR & ~sme_mask, dump.read),
    )


def phys_base(dump: Dump, info: Vmcoreinfo | None) -> int:
    """Signed. NUMBER(phys_base) goes before a dump's header: QEMU's is wrong there."""
    exported = info.number("phys_base") if info else None
    if exported is not None:
        return exported
    if dump.phys_base is not None:
        return dump.phys_base - ((dump.phys_base & _KERNEL_HALF) << 1)
    for segment in dump.segments:
        if segment.vaddr >= START_KERNEL_MAP:
            return segment.paddr - (segment.vaddr & ~START_KERNEL_MAP)
    return 0


def _page_offset(segments: tuple[Segment, ...], default: int) -> int:
    """Where the direct map begins; segments of a dump without virtual addresses say nothing about it."""
    for segment in reversed(segments):
        if _KERNEL_HALF <= segment.vaddr < START_KERNEL_MAP and segment.paddr != _INVALID_PADDR:
            offset = segment.vaddr - segment.paddr
            if offset >= _KERNEL_HALF:
                return offset
    return default


ARCHITECTURE = Architecture(machine, phys_base)
