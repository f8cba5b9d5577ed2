# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory models: where the struct pages of a range of page frames are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from mdf.core.errors import AddressError, FormatError, MdfError, MissingInfoError
from mdf.core.kernel.kernel import Kernel
from mdf.core.kernel.nodes import online_nodes, pgdat_addresses

_PRESENT = 1
_FLAG_MASK = 0x1F  # The low bits of section_mem_map are flags; their meaning changed, their place did not.
_SECTIONS_MAX = 1 << 22
_TABLE_MAX = 64 << 20


@dataclass(frozen=True, slots=True)
class MemMap:
    """Page frames [pfn_start, pfn_end), and the virtual address of the first one's struct page."""

    pfn_start: int
    pfn_end: int
    address: int


def mem_map(kernel: Kernel, max_mapnr: int) -> list[MemMap]:
    """The pieces of the memory map below `max_mapnr`, in order; page frames without struct pages are in none.

    Raises MissingInfoError if the memory model cannot be told, FormatError if the map makes no sense.
    """
    info = kernel.info
    basics = (
        info.size("page"),
        info.offset("page.flags"),
        info.offset("page._refcount", "page._count"),
        info.offset("page.mapping"),
    )
    if None not in basics:
        if _is_discontigmem(kernel):
            return _discontigmem(kernel, max_mapnr)
        section = info.size("mem_section"), info.offset("mem_section.section_mem_map")
        if info.symbol("mem_section") and None not in section:
            return _sparsemem(kernel, max_mapnr)
        if info.symbol("mem_map"):
            return [_flatmem(kernel, max_mapnr)]
    raise MissingInfoError(
        "Can't distinguish the memory type.", hint="The vmcoreinfo lacks the keys of every memory model."
    )


def _flatmem(kernel: Kernel, max_mapnr: int) -> MemMap:
    """One array, from the first page frame to the end of the only node: memory above it is none of the kernel's."""
    info, long = kernel.info, kernel.dump.bits // 8
    address = kernel.read_pointer(info.symbol("mem_map") or 0)
    if not address:
        raise FormatError("The kernel's mem_map is a null pointer.")
    start, spanned = info.offset("pglist_data.node_start_pfn"), info.offset("pglist_data.node_spanned_pages")
    if info.symbol("contig_page_data") and start is not None and spanned is not None:
        (node,) = pgdat_addresses(kernel, 1)
        end = kernel.read_uint(node + start, long) + kernel.read_uint(node + spanned, long) - _first_pfn(kernel)
        if 0 < end < max_mapnr:
            max_mapnr = end
    return MemMap(min(kernel.machine.mem_map_pfn, max_mapnr), max_mapnr, address)


def _first_pfn(kernel: Kernel) -> int:
    """What the kernel calls the page frame that is number 0 in the dump."""
    return kernel.dump.first_paddr // kernel.dump.page_size


def _is_discontigmem(kernel: Kernel) -> bool:
    info = kernel.info
    lists = (
        info.symbol("node_data") and info.length("node_data") is not None,
        info.symbol("pgdat_list") and info.offset("pglist_data.pgdat_next") is not None,
        info.symbol("pgdat_list") and info.length("pgdat_list") is not None,
    )
    # node_mem_map exists in kernels with FLATMEM and DISCONTIGMEM only.
    members = ("node_mem_map", "node_start_pfn", "node_spanned_pages")
    known = [info.offset(f"pglist_data.{member}") is not None for member in members]
    return any(lists) and info.size("pglist_data") is not None and all(known)


def _discontigmem(kernel: Kernel, max_mapnr: int) -> list[MemMap]:
    info, long = kernel.info, kernel.dump.bits // 8
    vmem_map = info.symbol("vmem_map")
    nodes = []
    for pgdat in pgdat_addresses(kernel, online_nodes(kernel)):
        start, spanned, address = (
            kernel.read_uint(pgdat + (info.offset(f"pglist_data.{member}") or 0), long)
            for member in ("node_start_pfn", "node_spanned_pages", "node_mem_map")
        )
        if vmem_map:
            address = kernel.read_pointer(vmem_map) + start * (info.size("page") or 0)
        start -= _first_pfn(kernel)
        nodes.append(MemMap(start, min(start + spanned, max_mapnr), address))
    nodes = sorted((node for node in nodes if node.pfn_start < node.pfn_end), key=lambda node: node.pfn_start)
    for node, following in pairwise(nodes):
        if following.pfn_start < node.pfn_end:
            raise FormatError(f"Two memory nodes overlap at page {following.pfn_start:#x}.")
    return [node for node in nodes if node.address]


def _sparsemem(kernel: Kernel, max_mapnr: int) -> list[MemMap]:
    table = _SectionTable(kernel, max_mapnr)
    symbol = kernel.info.symbol("mem_section") or 0
    # A pointer to the root array since 4.15, where vmcoreinfo gives its value but a vmlinux the variable's address.
    pointer_first = "mem_section" in kernel.info.pointers
    reasons: list[MdfError] = []
    for is_pointer in (pointer_first, not pointer_first) if table.extreme else (False,):
        try:
            if pieces := table.decode(kernel.read_pointer(symbol) if is_pointer else symbol):
                return pieces
        except (AddressError, FormatError) as error:
            reasons.append(error)
    why = f" {reasons[0]}" if reasons else ""
    raise FormatError(
        f"Can't get the mem_section addresses: the table of sections at {symbol:#x} makes no sense.{why}",
        hint="Is the kernel information that of the crashed kernel?"
        " If the dump lacks that memory, -d 0 and -d 1 need nothing of it.",
    )


class _SectionTable:
    """The sections of SPARSEMEM: one array, or (EXTREME) a root array of pointers to arrays of a page each."""

    def __init__(self, kernel: Kernel, max_mapnr: int) -> None:
        info, machine = kernel.info, kernel.machine
        self._kernel = kernel
        page_size = kernel.dump.page_size
        page_shift = page_size.bit_length() - 1
        self._size = info.size("mem_section") or 0
        self._offset = info.offset("mem_section.section_mem_map") or 0
        shift, physmem = machine.section_size_bits, machine.max_physmem_bits
        if not page_shift < shift < physmem <= 64 or not 0 < self._size <= page_size:
            raise FormatError(
                f"Impossible memory sections: SECTION_SIZE_BITS {shift}, MAX_PHYSMEM_BITS {physmem}, size {self._size}."
            )
        self._pages = 1 << (shift - page_shift)
        self._max_mapnr = max_mapnr
        self._first_pfn = _first_pfn(kernel)
        self._count = -(-(self._first_pfn + max_mapnr) // self._pages)
        if self._count > _SECTIONS_MAX or self._count * self._size > _TABLE_MAX:
            raise FormatError(f"Impossible number of memory sections: {self._count} of {self._size} bytes.")
        self._per_root = page_size // self._size
        roots = -(-(1 << (physmem - shift)) // self._per_root)
        length = info.length("mem_section")
        self.extreme = length is None or length == roots

    def decode(self, table: int) -> list[MemMap]:
        """The pieces of all present sections. Raises AddressError, FormatError for a wrong `table`."""
        return [self._piece(number, value) for number, value in self._sections(table) if value & _PRESENT]

    def _sections(self, table: int) -> Iterator[tuple[int, int]]:
        """The number and section_mem_map of each section whose structure exists."""
        if not self.extreme:
            yield from self._values(0, self._kernel.read(table, self._count * self._size))
            return
        long = self._kernel.dump.bits // 8
        roots = -(-self._count // self._per_root)
        pointers = self._kernel.read(table, roots * long)
        for root in range(roots):
            pointer = int.from_bytes(pointers[root * long : (root + 1) * long], self._kernel.byteorder)
            if not pointer:
                continue
            if not self._kernel.is_kernel_address(pointer):
                raise FormatError(f"The root of memory sections {pointer:#x} is no kernel address.")
            first = root * self._per_root
            count = min(self._per_root, self._count - first)
            yield from self._values(first, self._kernel.read(pointer, count * self._size))

    def _values(self, first: int, sections: bytes) -> Iterator[tuple[int, int]]:
        long = self._kernel.dump.bits // 8
        for number, at in enumerate(range(self._offset, len(sections), self._size), first):
            yield number, int.from_bytes(sections[at : at + long], self._kernel.byteorder)

    def _piece(self, number: int, value: int) -> MemMap:
        # The kernel stores the address biased by the section's first page frame.
        start, size_of_page = number * self._pages, self._kernel.info.size("page") or 0
        address = ((value & ~_FLAG_MASK) + start * size_of_page) & (1 << self._kernel.dump.bits) - 1
        if not self._kernel.is_kernel_address(address):
            raise FormatError(f"The memory map of section {number} at {address:#x} is no kernel address.")
        end = min(start + self._pages - self._first_pfn, self._max_mapnr)
        skipped = max(self._first_pfn - start, 0)  # Where memory does not begin with a section.
        return MemMap(start + skipped - self._first_pfn, end, address + skipped * size_of_page)
