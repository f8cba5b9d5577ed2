# SPDX-License-Identifier: GPL-2.0-or-later
"""ia64: regions 6 and 7 lie in memory as they are; region 5 is the kernel's image, and page tables of 3 or 4 levels."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or, required_symbol
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, kernel_tables, of_segments
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_REGION_5, _REGION_6, _REGION_7, _TOP = 5 << 61, 6 << 61, 7 << 61, 1 << 64
_IMAGE_SIZE = 4 << 30  # vmalloc begins behind it
_IMAGE_ALIGNMENT = 64 << 20
_PRESENT = 1


def _has_four_levels(info: Vmcoreinfo) -> bool:
    by_config = info.values.get("CONFIG_PGTABLE_4") == "y"
    return by_config or info.values.get("SRCFILE(pud_t)", "").endswith("include/asm/page.h")


def _tables(page_shift: int, names: tuple[str, ...]) -> PageTables:
    """Tables of a page each. Upper entries are physical addresses as they are; those of pages have 50 bits."""
    bits = page_shift - 3
    shifts = [page_shift + bits * level for level in reversed(range(len(names)))]
    upper = (
        TableLevel(name, shift, bits, table=(0, 0), pointer=(1 << 64) - (1 << page_shift))
        for name, shift in zip(names[:-1], shifts[:-1], strict=True)
    )
    pages = TableLevel(names[-1], page_shift, bits, (Leaf(_PRESENT, _PRESENT, page_shift),), INVALID_ENTRY)
    return PageTables((*upper, pages), present=_PRESENT, address=(1 << 50) - (1 << 12))


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if swapper_pg_dir is in no segment."""
    base = phys_base(dump, info)
    image = required_symbol(info, "_stext")
    direct = [
        Direct(_REGION_7, _TOP, 0),
        Direct(_REGION_6, _REGION_7, 0),
        *of_segments(dump, _REGION_5, _REGION_6),
    ]
    if _REGION_5 <= image < _REGION_6:
        direct.append(Direct(image, image + _IMAGE_SIZE, base & -_IMAGE_ALIGNMENT))
    names = ("PGD", "PUD", "PMD", "PTE") if _has_four_levels(info) else ("PGD", "PMD", "PTE")
    tables = _tables(dump.page_size.bit_length() - 1, names)
    return AddressSpace(
        phys_base=base,
        kernel_base=_REGION_5,
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", 50),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 30),
        walker=kernel_tables(dump, info, tables, direct),
        direct=tuple(direct),
    )


def phys_base(dump: Dump, _info: Vmcoreinfo | None) -> int:
    """Where the kernel's image is: the first segment in region 5; 64 MiB, where it is linked for, without one."""
    if dump.phys_base is not None:
        return dump.phys_base
    images = (segment.paddr for segment in dump.segments if _REGION_5 <= segment.vaddr < _REGION_6)
    return next(images, _IMAGE_ALIGNMENT)


ARCHITECTURE = Architecture(machine, phys_base)
