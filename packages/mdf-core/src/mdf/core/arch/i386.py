# SPDX-License-Identifier: GPL-2.0-or-later
"""i386: page tables of 2 levels, or of 3 with PAE, map all of the kernel's addresses, low memory too."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or
from mdf.core.arch.paging import PageTables, TableLevel
from mdf.core.arch.space import AddressSpace, self_mapped_tables
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

# Where the kernel's part of the address space begins, by CONFIG_VMSPLIT_*; low memory is mapped from there on.
_PAGE_OFFSETS = (0xC0000000, 0xB0000000, 0x80000000, 0x78000000, 0x40000000)
_PSE = 1 << 7
_PAE_PKMAP_ENTRIES = 512  # 1024 without PAE

_TWO_LEVELS = PageTables(
    (TableLevel("PGD", 22, 10, _PSE), TableLevel("PTE", 12, 10, -1)), present=1, address=0xFFFFF000, entry_size=4
)
_PAE = PageTables(
    (TableLevel("PGD", 30, 2), TableLevel("PMD", 21, 9, _PSE), TableLevel("PTE", 12, 9, -1)),
    present=1,
    address=(1 << 52) - (1 << 12),
)


def has_pae(info: Vmcoreinfo) -> bool:
    """Whether entries have 64 bits: the kernel says so, or the number of its persistent highmem mappings does."""
    first, following = info.symbol("pkmap_count"), info.symbol("pkmap_count_next")
    by_pkmap = first is not None and following is not None and (following - first) // 4 == _PAE_PKMAP_ENTRIES
    return info.values.get("CONFIG_X86_PAE") == "y" or by_pkmap


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if there are no page tables."""
    pae = has_pae(info)
    walker, page_offset = self_mapped_tables(dump, info, [_PAE if pae else _TWO_LEVELS], _PAGE_OFFSETS)
    section_size_bits = (30 if info.release < Release(2, 6, 26) else 29) if pae else 26
    return AddressSpace(
        phys_base=0,
        kernel_base=page_offset,
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", 36 if pae else 32),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", section_size_bits),
        walker=walker,
    )


ARCHITECTURE = Architecture(machine)
