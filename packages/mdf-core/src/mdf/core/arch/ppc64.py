# SPDX-License-Identifier: GPL-2.0-or-later
"""ppc64 of both byte orders: the direct map, a list of the pages of vmemmap, page tables of radix and hash MMUs."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.core.arch.machine import (
    Architecture,
    at_release,
    exported_or,
    guessed_physmem_bits,
    required_symbol,
    utsname_address,
)
from mdf.core.arch.paging import AddressBits, Leaf, PageTables, TableLevel
from mdf.core.arch.space import INVALID_ENTRY, AddressSpace, Direct, find, kernel_tables
from mdf.core.dumps import Dump
from mdf.core.errors import AddressError, FormatError, UnsupportedError
from mdf.core.formats.diskdump import UTSNAME_MACHINE, UTSNAME_SIZE, utsname_field
from mdf.core.formats.elf import ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

_PAGE_OFFSET = 0xC000000000000000
# The most memory there can be, 51 bits of it; less with hash MMUs and pages of 4 KiB, which since 5.2 have vmalloc and
# vmemmap in the same region.
_DIRECT_END = 0xC008000000000000
_HASH_4K_DIRECT_END = ((Release(5, 2, 0), _DIRECT_END), (Release(5, 8, 0), 0xC000100000000000))
_HASH_4K_DIRECT_END_TODAY = 0xC0003D0000000000
_SECTION_SIZE_BITS = 24
_PHYSMEM_BITS = (44, 46, 47, 51)
_LIST_SYMBOLS = ("vmemmap_list", "mmu_psize_defs", "mmu_vmemmap_psize")
_MMU_FTR_TYPE_RADIX = 0x40
_SPARE_BACKINGS = 1 << 12

_BYTEORDERS: dict[str, ByteOrder] = {"ppc64": "big", "ppc64le": "little"}

# The bits of an index into the PTE, PMD, PUD and PGD tables, by page shift; hash MMUs up to a release.
_RADIX = {16: (5, 9, 9, 13), 12: (9, 9, 9, 13)}
_HASH = {
    16: (
        (Release(3, 10, 0), (12, 12, 0, 4)),
        (Release(4, 6, 0), (8, 10, 0, 12)),
        (Release(4, 12, 0), (8, 5, 5, 12)),
        (Release(4, 17, 0), (8, 10, 7, 8)),
    ),
    12: ((Release(3, 7, 0), (9, 7, 7, 9)),),
}
_HASH_TODAY = {16: (8, 10, 10, 8), 12: (9, 7, 9, 9)}
_NAMES = ("PTE", "PMD", "PUD", "PGD")

# Since 4.6 bit 62 makes an entry of any table map memory, bit 63 says that it is there, and tables are at physical
# addresses. Since 4.7 entries are big endian, whatever the kernel is.
_MODERN = Release(4, 6, 0)
_BIG_ENDIAN_SINCE = Release(4, 7, 0)
_PRESENT, _MAPS = 1 << 63, 1 << 62
# A table's address: without the kernel's region or the bits above, and without the lowest ones, which before 4.6 were
# others at each level of the tables of 64 KiB pages.
_POINTER = (1 << 60) - (1 << 8)
_WHOLE_POINTER = (1 << 60) - 1
_POINTER_64K = {"PMD": ((Release(3, 11, 0), 0x1FF), (_MODERN, 0xFFF)), "PUD": ((_MODERN, 0x1FF),)}


def machine(dump: Dump, info: Vmcoreinfo) -> AddressSpace:
    """The address space. Raises MissingInfoError, UnsupportedError, FormatError for a list that can't be right."""
    page_shift = dump.page_size.bit_length() - 1
    if page_shift not in _RADIX:
        raise UnsupportedError(f"ppc64 has no pages of {dump.page_size} bytes.")
    order = byteorder(dump, info)
    reader = _Reader(dump, Direct(_PAGE_OFFSET, _DIRECT_END, 0), order)
    radix = _is_radix(reader, info)
    tables = _tables(page_shift, info, radix, order)
    linear = Direct(_PAGE_OFFSET, _direct_end(page_shift, info, radix), 0)
    direct = (linear, *_vmemmap(reader, info, dump.max_mapnr))
    return AddressSpace(
        phys_base=0,
        kernel_base=required_symbol(info, "_stext"),
        max_physmem_bits=guessed_physmem_bits(dump, info, _PHYSMEM_BITS, _SECTION_SIZE_BITS),
        section_size_bits=exported_or(info, "SECTION_SIZE_BITS", _SECTION_SIZE_BITS),
        walker=kernel_tables(dump, info, tables, direct),
        direct=direct,
    )


def _direct_end(page_shift: int, info: Vmcoreinfo, radix: bool) -> int:
    """Where the direct map ends at the latest."""
    end = _DIRECT_END
    if page_shift == 12 and not radix:
        end = at_release(_HASH_4K_DIRECT_END, info.release, _HASH_4K_DIRECT_END_TODAY)
    vmalloc = info.number("VMALLOC_START")
    return min(end, vmalloc) if vmalloc and vmalloc > _PAGE_OFFSET else end


class _Reader:
    """Reads the direct map, which is there before all else is known."""

    def __init__(self, dump: Dump, linear: Direct, byteorder: ByteOrder) -> None:
        self._dump, self._linear, self._byteorder = dump, linear, byteorder

    def uint(self, vaddr: int, size: int = 8) -> int:
        mapping = find((self._linear,), vaddr)
        if mapping is None:
            raise AddressError(f"Virtual address {vaddr:#x} is not in the direct map.")
        return int.from_bytes(self._dump.read(mapping.paddr, size), self._byteorder)


def _is_radix(reader: _Reader, info: Vmcoreinfo) -> bool:
    exported = info.number("RADIX_MMU")
    if exported is not None:
        return exported == 1
    spec, offset = info.symbol("cur_cpu_spec"), info.offset("cpu_spec.mmu_features")
    if spec is None or offset is None:
        return False
    return bool(reader.uint(reader.uint(spec) + offset, 4) & _MMU_FTR_TYPE_RADIX)


def _vmemmap(reader: _Reader, info: Vmcoreinfo, max_mapnr: int) -> Iterator[Direct]:
    """The pages that hold struct pages, by the kernel's list of them: a hash MMU has them in no page table."""
    head, definitions, size_index = (info.symbol(name) for name in _LIST_SYMBOLS)
    members = [info.offset(f"vmemmap_backing.{name}") for name in ("phys", "virt_addr", "list")]
    size, shift_at = info.size("mmu_psize_def"), info.offset("mmu_psize_def.shift")
    if None in (head, definitions, size_index, size, shift_at) or None in members:
        return
    shift = reader.uint((definitions or 0) + reader.uint(size_index or 0, 4) * (size or 0) + (shift_at or 0), 4)
    if not 12 <= shift <= 34:
        raise FormatError(f"Impossible size of vmemmap's pages: 1 << {shift}.")
    # Each of them holds the struct pages of some memory; a few more may be left of memory that was taken out.
    most = _SPARE_BACKINGS + (max_mapnr * (info.size("page") or 0) >> shift)
    phys, virt, link = (member or 0 for member in members)
    entry, seen = reader.uint(head or 0), set[int]()
    while entry:
        if entry in seen or len(seen) == most:
            raise FormatError(f"vmemmap_list does not end: entry {entry:#x}, after {len(seen)}.")
        seen.add(entry)
        start = reader.uint(entry + virt)
        yield Direct(start, start + (1 << shift), reader.uint(entry + phys))
        entry = reader.uint(entry + link)


def _tables(page_shift: int, info: Vmcoreinfo, radix: bool, kernels_order: ByteOrder) -> PageTables:
    release = info.release
    sizes = _RADIX[page_shift] if radix else at_release(_HASH[page_shift], release, _HASH_TODAY[page_shift])
    modern = radix or release >= _MODERN
    present = _PRESENT if modern else 2 if release >= Release(4, 5, 0) else 1
    address = _page_number(page_shift, info)
    levels: list[TableLevel] = []
    shift = page_shift
    for name, bits in zip(_NAMES, sizes, strict=True):
        if bits and not levels:
            levels.append(TableLevel(name, shift, bits, (Leaf(present, present, shift, address),), INVALID_ENTRY))
        elif bits:
            leaves = (Leaf(_PRESENT | _MAPS, _PRESENT | _MAPS, shift, address),) if modern else ()
            levels.append(
                TableLevel(name, shift, bits, leaves, _table(modern), _pointer(name, page_shift, release, modern))
            )
        shift += bits
    order: ByteOrder = "big" if radix or release >= _BIG_ENDIAN_SINCE else kernels_order
    return PageTables(tuple(reversed(levels)), present, _POINTER, order)


def _table(modern: bool) -> tuple[int, int]:
    return (_MAPS, 0) if modern else (0, 0)


def _pointer(name: str, page_shift: int, release: Release, modern: bool) -> int:
    if modern:
        return _POINTER
    low = at_release(_POINTER_64K.get(name, ()), release, 0) if page_shift == 16 else 0
    return _WHOLE_POINTER & ~low


def _page_number(page_shift: int, info: Vmcoreinfo) -> AddressBits:
    """Where an entry that maps memory has the physical address."""
    release = info.release
    if release >= Release(4, 11, 0):
        return (1 << 53) - (1 << page_shift)
    if release >= _MODERN:
        return (1 << 57) - (1 << page_shift)
    if page_shift == 16:
        shift = 30 if info.symbol("demote_segment_4k") is not None else 32
    else:
        shift = 18 if release >= Release(4, 5, 0) else 17
    return (((1 << 64) - (1 << shift), page_shift - shift),)


def byteorder(dump: Dump, info: Vmcoreinfo) -> ByteOrder:
    """The kernel's, by the name that it gives its machine: QEMU's headers are big endian around either."""
    address = utsname_address(info) & _DIRECT_END - 1 - _PAGE_OFFSET
    try:
        name = utsname_field(dump.read(address, UTSNAME_SIZE), UTSNAME_MACHINE)
    except AddressError:
        return dump.byteorder
    return _BYTEORDERS.get(name, dump.byteorder)


ARCHITECTURE = Architecture(machine, byteorder=byteorder)
