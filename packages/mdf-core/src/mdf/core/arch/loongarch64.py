# SPDX-License-Identifier: GPL-2.0-or-later
"""loongarch64: windows onto physical memory (XKPRANGE), and page tables of 3 levels for the rest."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, kernel_tables
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_XKPRANGE = range(0x80000000_00000000, 0xC0000000_00000000, 1 << 60)
_PRESENT = 1 << 7
_HUGE = 1 << 6
_ADDRESS_BITS = 48


def _tables(page_shift: int) -> PageTables:
    """Three levels of tables of a page each. A table's address is one of XKPRANGE, of which the low bits count.

    An entry that leads nowhere has the address of a table of invalid entries.
    """
    bits = page_shift - 3
    table = ((1 << page_shift) - 1, 0)

    def upper(name: str, shift: int) -> TableLevel:
        return TableLevel(name, shift, bits, (Leaf(_PRESENT | _HUGE, _PRESENT | _HUGE, shift),), table)

    return PageTables(
        (
            upper("PGD", page_shift + 2 * bits),
            upper("PMD", page_shift + bits),
            TableLevel("PTE", page_shift, bits, (Leaf(_PRESENT, _PRESENT, page_shift),), INVALID_ENTRY),
        ),
        present=_PRESENT,
        address=(1 << _ADDRESS_BITS) - (1 << 12),
    )


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if swapper_pg_dir is in no window."""
    max_physmem_bits = exported_or(info, "MAX_PHYSMEM_BITS", _ADDRESS_BITS)
    windows = tuple(Direct(start, start + (1 << 60), 0) for start in _XKPRANGE)
    return AddressSpace(
        phys_base=0,
        kernel_base=_XKPRANGE.start,
        max_physmem_bits=max_physmem_bits,
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 29),
        walker=kernel_tables(dump, info, _tables(dump.page_size.bit_length() - 1), windows),
        direct=windows,
    )


ARCHITECTURE = Architecture(machine)
