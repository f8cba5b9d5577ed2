# SPDX-License-Identifier: GPL-2.0-or-later
"""sparc64: the kernel's image, the dump's segments, and page tables of 3 or 4 levels for all the rest."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or, required_symbol
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, kernel_tables, of_segments
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

_PRESENT = Leaf(1 << 4, 1 << 4, 13)  # sun4v; sun4u has it elsewhere
_VALID = Leaf(1 << 63, 1 << 63, 13)
_HUGE = 1 << 56
_FOUR_LEVELS_SINCE = Release(3, 8, 13)
_FIXED_PAGE_OFFSET_UNTIL = Release(3, 13, 0)
_FIXED_PAGE_OFFSET = 0xFFFFF800_00000000
_IMAGE = (0x400000, 0x10000000)  # Modules begin behind it.
_TOP = 1 << 64

_LOWER = (
    TableLevel("PMD", 23, 10, (Leaf(_HUGE, _HUGE, 23),), table=(0, 0)),
    TableLevel("PTE", 13, 10, (_VALID, _PRESENT), INVALID_ENTRY),
)
_THREE_LEVELS = (TableLevel("PGD", 33, 10, table=(0, 0)), *_LOWER)
_FOUR_LEVELS = (
    TableLevel("PGD", 43, 10, table=(0, 0)),
    TableLevel("PUD", 33, 10, (Leaf(_HUGE, _HUGE, 33),), table=(0, 0)),
    *_LOWER,
)


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if swapper_pg_dir is in none of them."""
    release = info.release
    base = phys_base(dump, info)
    image = Direct(*_IMAGE, (base + _IMAGE[0]) % _TOP)
    direct = (*of_segments(dump, 1, _TOP), image)
    if release < _FIXED_PAGE_OFFSET_UNTIL:
        direct = (*direct, Direct(_FIXED_PAGE_OFFSET, _TOP, 0))
    four_levels = release >= _FOUR_LEVELS_SINCE
    tables = PageTables(
        _FOUR_LEVELS if four_levels else _THREE_LEVELS, present=1, address=(1 << 56) - (1 << 13), byteorder="big"
    )
    return AddressSpace(
        phys_base=base,
        kernel_base=required_symbol(info, "_stext"),
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", 53 if four_levels else 49),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 30),
        walker=kernel_tables(dump, info, tables, direct),
        direct=direct,
    )


def phys_base(dump: Dump, _info: Vmcoreinfo | None) -> int:
    """The image's physical address less its virtual one; 0 in a dump without a segment for it."""
    if dump.phys_base is not None:
        return dump.phys_base
    images = (segment for segment in dump.segments if _IMAGE[0] <= segment.vaddr < _IMAGE[1])
    return next((segment.paddr - segment.vaddr for segment in images), 0)


ARCHITECTURE = Architecture(machine, phys_base)
