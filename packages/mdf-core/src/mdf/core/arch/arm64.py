# SPDX-License-Identifier: GPL-2.0-or-later
"""arm64: every kernel address goes through page tables of 2 to 5 levels, with pages of 4, 16 or 64 KiB."""

from __future__ import annotations

from mdf.core.arch.machine import Architecture, exported_or, required_symbol
from mdf.core.arch.paging import AddressBits, Leaf, PageTables, TableLevel, Walker
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace
from mdf.core.dumps import Dump
from mdf.core.errors import MissingInfoError, UnsupportedError
from mdf.core.formats.elf import ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_TOP = 1 << 64
_BLOCK = (3, 1)
_TABLE_OR_PAGE = (3, 3)
_PAGE_SHIFTS = (12, 14, 16)
_VA_BITS = range(36, 53)
_NAMES = {2: ("PGD", "PTE"), 3: ("PGD", "PMD", "PTE"), 4: ("PGD", "PUD", "PMD", "PTE")}
_FIVE_NAMES = ("PGD", "P4D", "PUD", "PMD", "PTE")


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and UnsupportedError for sizes that the machine doesn't have."""
    page_shift = dump.page_size.bit_length() - 1
    va_bits, in_use = _va_bits(info)
    if page_shift not in _PAGE_SHIFTS or va_bits not in _VA_BITS or in_use not in _VA_BITS:
        raise UnsupportedError(f"arm64 has no pages of {dump.page_size} bytes with VA_BITS {va_bits}, {in_use} in use.")
    flipped = _flipped(info, va_bits)
    max_physmem_bits = exported_or(info, "MAX_PHYSMEM_BITS", 52 if va_bits == 52 else 48)
    # Without LPA2 these bits of an entry are attributes: the kernel says 52 only on a processor that has it.
    lpa2 = page_shift != 16 and info.number("MAX_PHYSMEM_BITS") == 52
    # With pages of 64 KiB the table is always that of VA_BITS, of which a smaller processor uses the end.
    top_bits = va_bits if page_shift == 16 else in_use
    tables = _tables(page_shift, top_bits, _address(page_shift, max_physmem_bits, lpa2), lpa2, dump.byteorder)
    return AddressSpace(
        phys_base=phys_base(dump, info),
        kernel_base=_TOP - (1 << in_use) if flipped else _TOP - (1 << va_bits),
        max_physmem_bits=max_physmem_bits,
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", 30),
        walker=Walker(tables, _root(dump, info, va_bits, in_use, flipped), dump.read),
    )


def _va_bits(info: Vmcoreinfo) -> tuple[int, int]:
    """VA_BITS of the kernel, and how many of them the processor uses."""
    va_bits = info.number("VA_BITS")
    if va_bits is None:
        raise MissingInfoError("Can't get the number VA_BITS, which arm64 needs.")
    t1sz = info.number("TCR_EL1_T1SZ")  # since 5.11
    if t1sz is not None:
        return va_bits, 64 - t1sz
    mem_section = info.symbol("mem_section")
    if va_bits == 52 and mem_section is not None:
        return va_bits, 48 if mem_section >> 51 & 1 else 52
    return va_bits, va_bits


def _flipped(info: Vmcoreinfo, va_bits: int) -> bool:
    """Whether the direct map is in the lower half of the kernel's addresses, as since 5.4, and the image above."""
    return required_symbol(info, "_stext") > _TOP - (1 << min(va_bits, 48) - 1)


def _page_offset(va_bits: int, flipped: bool) -> int:
    """Where the direct map begins as the kernel counts, whatever the processor uses of it."""
    return _TOP - (1 << va_bits) if flipped else _TOP - (1 << va_bits - 1)


def _root(dump: Dump, info: Vmcoreinfo, va_bits: int, in_use: int, flipped: bool) -> int:
    """Where the top table is: in the kernel's image, before 4.6 in the direct map."""
    symbol = required_symbol(info, "swapper_pg_dir")
    image = info.number("kimage_voffset")
    linear = bool(symbol >> in_use - 1 & 1) is not flipped
    if image is not None and not linear:
        return symbol - image & _TOP - 1
    # PHYS_OFFSET belongs to the page offset of all VA_BITS, and is "negative" where fewer are in use.
    return symbol - _page_offset(va_bits, flipped) + phys_base(dump, info) & _TOP - 1


def _address(page_shift: int, max_physmem_bits: int, lpa2: bool) -> AddressBits:
    if lpa2:
        return (((1 << 50) - (1 << page_shift), 0), (0x300, 42))
    if page_shift == 16 and max_physmem_bits == 52:
        return (((1 << 48) - (1 << page_shift), 0), (0xF000, 36))
    return (1 << 48) - (1 << page_shift)


def _tables(page_shift: int, va_bits: int, address: AddressBits, lpa2: bool, byteorder: ByteOrder) -> PageTables:
    """Tables of a page each, but for the top one, which has what is left of the address bits."""
    bits = page_shift - 3
    shifts = range(page_shift, va_bits, bits)
    names = _NAMES.get(len(shifts), _FIVE_NAMES)
    # The architecture counts table levels so that the last one is level 3; blocks begin at level 1, with LPA2 at 0.
    blocks = 4 if lpa2 and page_shift == 12 else 3

    def level(name: str, below: int) -> TableLevel:
        shift = shifts[below]
        if below == 0:
            return TableLevel(name, shift, bits, (Leaf(*_TABLE_OR_PAGE, shift),), INVALID_ENTRY)
        leaves = (Leaf(*_BLOCK, shift),) if below < blocks else ()
        return TableLevel(name, shift, min(bits, va_bits - shift), leaves, _TABLE_OR_PAGE)

    levels = tuple(level(name, len(shifts) - 1 - number) for number, name in enumerate(names))
    return PageTables(levels, present=1, address=address, byteorder=byteorder)


def phys_base(dump: Dump, info: Vmcoreinfo | None) -> int:
    """PHYS_OFFSET, as the kernel counts it; of older kernels it is where the direct map's first segment is."""
    exported = info.number("PHYS_OFFSET") if info else None
    if exported is not None:
        return exported
    if dump.phys_base is not None:
        return dump.phys_base
    if info is None:
        return 0
    va_bits, _ = _va_bits(info)
    offset = _page_offset(va_bits, _flipped(info, va_bits))
    return next((segment.paddr for segment in dump.segments if segment.vaddr >= offset), 0)


ARCHITECTURE = Architecture(machine, phys_base)
