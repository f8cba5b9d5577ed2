# SPDX-License-Identifier: GPL-2.0-or-later
"""s390x: memory where it is (identity), since 6.10 possibly elsewhere; region and segment tables for the rest."""

from __future__ import annotations

import struct

from mdf.core.arch.machine import Architecture, exported_or, guessed_physmem_bits, required_symbol
from mdf.core.arch.paging import Leaf, PageTables, TableLevel, Walker
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, of_segments, top_table
from mdf.core.dumps import Dump
from mdf.core.errors import AddressError, FormatError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

_TOP = 1 << 64
_PREFIX_AREA = 0x2000
_SECTION_SIZE_BITS = 28
_PHYSMEM_BITS = (42, 46)

# Region and segment table entries: I (invalid), TT (which table it is in), FC (maps memory itself).
_INVALID = 1 << 5
_FORMAT_CONTROL = 1 << 10
_REGION_ORIGIN = _TOP - (1 << 12)
_PAGE_TABLE_ORIGIN = _TOP - (1 << 11)
# Page table entries: I (invalid), and a bit that must be zero.
_PAGE_INVALID = 1 << 10 | 1 << 11


def _huge(shift: int) -> tuple[Leaf, ...]:
    return (Leaf(_INVALID | _FORMAT_CONTROL, _FORMAT_CONTROL, shift),)


# From the first region table (TT 3) down to the page table; the kernel's top table may be any of the first four.
_LEVELS = (
    TableLevel("PGD", 53, 11, table=(_INVALID, 0)),
    TableLevel("P4D", 42, 11, table=(_INVALID, 0)),
    TableLevel("PUD", 31, 11, _huge(31), table=(_INVALID, 0)),
    TableLevel("PMD", 20, 11, _huge(20), table=(_INVALID, 0), pointer=_PAGE_TABLE_ORIGIN),
    TableLevel("PTE", 12, 8, (Leaf(_PAGE_INVALID, 0, 12),), INVALID_ENTRY),
)
_TYPES = 3

# os_info, whose address is at this one, has entries of value, size and checksum.
_OS_INFO_POINTER = 0xE18
_OS_INFO_MAGIC = int.from_bytes(b"OSINFOSZ", "big")
_OS_INFO_ENTRIES = 32
_OS_INFO_ENTRY = struct.Struct(">QQI")
_IDENTITY_BASE, _KASLR_OFFSET = 4, 5
_OS_INFO_COUNT = 10


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, and AddressError if swapper_pg_dir can't be read."""
    direct = _decoupled(dump) or _identity(dump, info)
    return AddressSpace(
        phys_base=0,
        kernel_base=0,
        max_physmem_bits=guessed_physmem_bits(dump, info, _PHYSMEM_BITS, _SECTION_SIZE_BITS),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", _SECTION_SIZE_BITS),
        walker=_walker(dump, info, direct),
        direct=direct,
    )


def _decoupled(dump: Dump) -> tuple[Direct, ...]:
    """The ranges of a kernel whose virtual addresses are not the physical ones; none for another."""
    try:
        address = int.from_bytes(dump.read(_OS_INFO_POINTER, 8), "big")
        block = dump.read(address, _OS_INFO_ENTRIES + _OS_INFO_COUNT * _OS_INFO_ENTRY.size) if address else b""
    except AddressError:
        return ()
    if int.from_bytes(block[:8], "big") != _OS_INFO_MAGIC:
        return ()
    entries = [value for value, _, _ in _OS_INFO_ENTRY.iter_unpack(block[_OS_INFO_ENTRIES:])]
    if not entries[_KASLR_OFFSET]:
        return ()
    identity, kernel, kernel_paddr, vmemmap, amode31, amode31_end = entries[_IDENTITY_BASE:]
    return (
        Direct(0, _PREFIX_AREA, 0),
        Direct(amode31, amode31_end, amode31),
        Direct(identity, vmemmap, 0),
        Direct(kernel, _TOP, kernel_paddr),
    )


def _identity(dump: Dump, info: Vmcoreinfo) -> tuple[Direct, ...]:
    """All below high_memory is where its address says."""
    high_memory = int.from_bytes(dump.read(required_symbol(info, "high_memory"), 8), "big")
    return (*of_segments(dump, 1, _TOP), Direct(0, high_memory, 0))


def _walker(dump: Dump, info: Vmcoreinfo, direct: tuple[Direct, ...]) -> Walker:
    """Which table the top is, its own entries say, also those that lead nowhere."""
    top = top_table(info, direct)
    first = int.from_bytes(dump.read(top, 8), "big")
    levels = _LEVELS[_TYPES - (first >> 2 & _TYPES) :]
    if first & ~0xFFF and first & _INVALID:
        raise FormatError(f"What should be the kernel's page table at {top:#x} begins with {first:#x}.")
    return Walker(PageTables(levels, present=0, address=_REGION_ORIGIN, byteorder="big"), top, dump.read)


ARCHITECTURE = Architecture(machine)
