# SPDX-License-Identifier: GPL-2.0-or-later
"""mips64 (Loongson's way): windows onto physical memory (CKSEG0/1, XKPHYS), page tables of 3 levels for the rest."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, kernel_tables
from mdf.core.dumps import Dump
from mdf.core.formats.elf import ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

PAGE_OFFSET = 0x98000000_00000000
_CKSEG = (0xFFFFFFFF_80000000, 0xFFFFFFFF_A0000000)
_XKPHYS = range(0x90000000_00000000, 0xC0000000_00000000, 1 << 59)
_PRESENT = 1 << 0
_HUGE = 1 << 4
_ADDRESS_BITS = 48


def _pfn_shift(info: Vmcoreinfo) -> int:
    """How many bits of a page's entry are below its page frame number, with pages of 4 KiB.

    present, write, accessed, modified, huge, (since 5.3: special,) no exec, no read, global, valid, dirty, and three
    bits of cache attributes: a processor with RIXI (MIPS release 2).
    """
    return 14 if info.release >= Release(5, 3, 0) else 13


def _tables(page_shift: int, pfn_shift: int, byteorder: ByteOrder) -> PageTables:
    bits = page_shift - 3
    # With pages of 4 KiB the top table has two pages.
    top = bits + 1 if page_shift == 12 else bits
    table = ((1 << page_shift) - 1, 0)
    field = (1 << _ADDRESS_BITS) - (1 << page_shift) << pfn_shift - 12

    def leaf(mask: int, shift: int) -> tuple[Leaf, ...]:
        return (Leaf(mask, mask, shift, address=((field, 12 - pfn_shift),)),)

    return PageTables(
        (
            TableLevel("PGD", page_shift + 2 * bits, top, (), table),
            TableLevel("PMD", page_shift + bits, bits, leaf(_PRESENT | _HUGE, page_shift + bits), table),
            TableLevel("PTE", page_shift, bits, leaf(_PRESENT, page_shift), INVALID_ENTRY),
        ),
        present=_PRESENT,
        address=(1 << _ADDRESS_BITS) - (1 << 12),
        byteorder=byteorder,
    )


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if swapper_pg_dir is in no window."""
    windows = (
        *(Direct(start, start + (1 << 29), 0) for start in _CKSEG),
        *(Direct(start, start + (1 << 59), 0) for start in _XKPHYS),
    )
    tables = _tables(dump.page_size.bit_length() - 1, _pfn_shift(info), dump.byteorder)
    return AddressSpace(
        phys_base=0,
        kernel_base=PAGE_OFFSET,
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", _ADDRESS_BITS),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 28),
        walker=kernel_tables(dump, info, tables, windows),
        direct=windows,
    )


ARCHITECTURE = Architecture(machine)
