# SPDX-License-Identifier: GPL-2.0-or-later
"""riscv64: the direct map and the kernel image by subtraction, page tables of Sv39, Sv48 or Sv57 for the rest."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or
from mdf.core.arch.paging import Leaf, PageTables, TableLevel
from mdf.core.arch.space import AddressSpace, Direct, kernel_tables, without
from mdf.core.dumps import Dump
from mdf.core.errors import MissingInfoError, UnsupportedError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_VALID = 1
_READ_WRITE_EXECUTE = (1 << 1, 1 << 2, 1 << 3)
# The page number of an entry begins at bit 10, that of an address at bit 12; above bit 53 are attributes.
_ADDRESS = (((1 << 54) - (1 << 10), 2),)
# Svnapot: 16 equal entries map 64 KiB, and say so in the lowest bits of their page number.
_NAPOT, _NAPOT_64K = 1 << 63, 1 << 63 | 8 << 10
_NAPOT_MASK = 1 << 63 | 15 << 10
_LEVELS = (("PGD", 48), ("P4D", 39), ("PUD", 30), ("PMD", 21), ("PTE", 12))
# VA_BITS is 39, 48 or 57.
_NUMBER_OF_LEVELS = {39: 3, 48: 4, 57: 5}
# Where memory began on the first machines, for kernels that do not say it.
_PHYS_RAM_BASE = 0x80200000
_TOP = 1 << 64


def _tables(levels: int) -> PageTables:
    def level(name: str, shift: int) -> TableLevel:
        leaves = [Leaf(_NAPOT | _VALID | bit, _VALID | bit, shift) for bit in _READ_WRITE_EXECUTE]
        if shift == 12:
            leaves += [Leaf(_NAPOT_MASK | _VALID | bit, _NAPOT_64K | _VALID | bit, 16) for bit in _READ_WRITE_EXECUTE]
        return TableLevel(name, shift, 9, tuple(leaves))

    lower = _LEVELS[-levels:]
    # The top level is the PGD, however many there are.
    named = (("PGD", lower[0][1]), *lower[1:])
    return PageTables(tuple(level(*each) for each in named), present=_VALID, address=_ADDRESS)


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError if the kernel does not export where its parts are."""
    levels = _NUMBER_OF_LEVELS.get(_required(info, "VA_BITS"))
    if levels is None:
        raise UnsupportedError(f"VA_BITS {info.number('VA_BITS')} is none of riscv64's: 39, 48 or 57.")
    base = phys_base(dump, info)
    page_offset, link = _required(info, "PAGE_OFFSET"), _required(info, "KERNEL_LINK_ADDR")
    mapped = [
        (_required(info, start), _required(info, end) + 1)
        for start, end in (
            ("VMALLOC_START", "VMALLOC_END"),
            ("VMEMMAP_START", "VMEMMAP_END"),
            ("MODULES_VADDR", "MODULES_END"),
        )
    ]
    image = Direct(link, _TOP, link - _required(info, "va_kernel_pa_offset"))
    direct = tuple(without((image, Direct(page_offset, link, base)), mapped))
    return AddressSpace(
        phys_base=base,
        kernel_base=mapped[1][0],
        max_physmem_bits=exported_or(info, "MAX_PHYSMEM_BITS", 56),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 27),
        walker=kernel_tables(dump, info, _tables(levels), direct),
        direct=direct,
        mem_map_pfn=base // dump.page_size,
    )


def _required(info: Vmcoreinfo, name: str) -> int:
    value = info.number(name)
    if value is None:
        raise MissingInfoError(f"Can't get the number {name}, which riscv64 needs.")
    return value


def phys_base(dump: Dump, info: Vmcoreinfo | None) -> int:
    """Where memory begins."""
    exported = info.number("phys_ram_base") if info else None
    if exported is not None:
        return exported
    return dump.phys_base if dump.phys_base is not None else _PHYS_RAM_BASE


ARCHITECTURE = Architecture(machine, phys_base)
