# SPDX-License-Identifier: GPL-2.0-or-later
"""ppc (32 bits): low memory at a constant distance, page tables of 2 levels with 32-bit entries for vmalloc."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or, required_symbol
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, kernel_tables, of_segments
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_LOWMEM_MAX = 0x30000000  # CONFIG_LOWMEM_SIZE
_TOP = 1 << 32
_PRESENT = 1

# A table's address is physical, or (Book E) virtual: in low memory the two differ in the highest bits alone.
_TABLES = PageTables(
    (
        TableLevel("PGD", 22, 10, table=(0, 0), pointer=0x3FFFF000),
        TableLevel("PTE", 12, 10, (Leaf(_PRESENT, _PRESENT, 12),), INVALID_ENTRY),
    ),
    present=_PRESENT,
    address=0xFFFFF000,
    byteorder="big",
    entry_size=4,
)


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if swapper_pg_dir is not in low memory."""
    base = required_symbol(info, "_stext")
    low = Direct(base, base + min(_LOWMEM_MAX, dump.max_mapnr * dump.page_size), 0)
    direct = (*of_segments(dump, base, _TOP), low)
    return AddressSpace(
        phys_base=0,
        kernel_base=base,
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", 44),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 24),
        walker=kernel_tables(dump, info, _TABLES, direct),
        direct=direct,
    )


ARCHITECTURE = Architecture(machine)
