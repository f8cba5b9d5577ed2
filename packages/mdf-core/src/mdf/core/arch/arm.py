# SPDX-License-Identifier: GPL-2.0-or-later
"""arm: the processor's short descriptors (2 levels) or long ones (LPAE, 3 levels) map all of the kernel's addresses."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, self_mapped_tables
from mdf.core.dumps import Dump
from mdf.core.formats.elf import ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

# CONFIG_PAGE_OFFSET, by CONFIG_VMSPLIT_*.
_PAGE_OFFSETS = (0xC0000000, 0xB0000000, 0x80000000, 0x40000000)
_SUPERSECTION = 1 << 18

# By the ARM Architecture Reference Manual. Linux keeps entries of its own beside these.
_SHORT = (
    TableLevel(
        "PGD",
        20,
        12,
        (
            Leaf(2 | _SUPERSECTION, 2 | _SUPERSECTION, 24, address=0xFF000000),
            Leaf(2 | _SUPERSECTION, 2, 20, address=0xFFF00000),
        ),
        table=(3, 1),
        pointer=0xFFFFFC00,
    ),
    TableLevel("PTE", 12, 8, (Leaf(2, 2, 12), Leaf(3, 1, 16)), INVALID_ENTRY),
)
_LONG = (
    TableLevel("PGD", 30, 2, (Leaf(3, 1, 30),), table=(3, 3)),
    TableLevel("PMD", 21, 9, (Leaf(3, 1, 21),), table=(3, 3)),
    TableLevel("PTE", 12, 9, (Leaf(3, 3, 12),), INVALID_ENTRY),
)


def _forms(byteorder: ByteOrder) -> tuple[PageTables, PageTables]:
    return (
        PageTables(_SHORT, present=1, address=0xFFFFF000, byteorder=byteorder, entry_size=4),
        PageTables(_LONG, present=1, address=(1 << 40) - (1 << 12), byteorder=byteorder),
    )


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if there are no page tables."""
    base = phys_base(dump, info)
    offsets = [page_offset - base for page_offset in _PAGE_OFFSETS]
    walker, offset = self_mapped_tables(dump, info, _forms(dump.byteorder), offsets)
    return AddressSpace(
        phys_base=base,
        kernel_base=offset + base,
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", 32),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 28),
        walker=walker,
    )


def phys_base(dump: Dump, _info: Vmcoreinfo | None) -> int:
    """The physical address of the first page frame of memory."""
    if dump.phys_base is not None:
        return dump.phys_base
    return min((segment.paddr for segment in dump.segments), default=0)


ARCHITECTURE = Architecture(machine, phys_base)
