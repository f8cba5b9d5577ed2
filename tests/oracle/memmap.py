# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the struct pages: the pieces of the memory map in each memory model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oracle.image import Image, Info


@dataclass(frozen=True)
class Piece:
    """Struct pages of [start, end) at a virtual address, 0 for none."""

    start: int
    end: int
    address: int


def pieces(image: Image, info: Info, max_mapnr: int) -> list[Piece]:
    """The pieces, in the order of page frames."""
    if info.offset("pglist_data.node_mem_map") is not None and _has_nodes(info):
        return _nodes(image, info, max_mapnr)
    if info.symbol("mem_section") is not None:
        return _sections(image, info, max_mapnr)
    mem_map = info.symbol("mem_map")
    assert mem_map is not None, "no memory model"
    return [Piece(0, max_mapnr, image.pointer(mem_map))]


def _first_pfn(image: Image, info: Info) -> int:
    return image.first_paddr // int(info.lines["PAGESIZE"])


def _has_nodes(info: Info) -> bool:
    listed = info.offset("pglist_data.pgdat_next") is not None or info.value("LENGTH(pgdat_list)") is not None
    return (info.symbol("node_data") is not None and info.value("LENGTH(node_data)") is not None) or (
        info.symbol("pgdat_list") is not None and listed
    )


def online_nodes(image: Image, info: Info) -> Iterator[int]:
    """Addresses of pglist_data of the online nodes."""
    mask = info.symbol("node_online_map")
    states = info.symbol("node_states")
    if mask is None and states is not None:
        mask = states + info.size("nodemask_t") * (info.number("N_ONLINE") or 0)
    count = 1 if mask is None else image.number(mask, info.size("nodemask_t")).bit_count()
    array, listed = info.symbol("node_data"), info.symbol("pgdat_list")
    following = info.offset("pglist_data.pgdat_next")
    address = 0
    for node in range(count):
        if array is not None and info.value("LENGTH(node_data)") is not None:
            address = image.pointer(array + node * image.word)
        elif listed is not None and (node == 0 or info.value("LENGTH(pgdat_list)") is not None):
            address = image.pointer(listed + node * image.word)
        elif following is not None and node:
            address = image.pointer(address + following)
        else:
            single = info.symbol("contig_page_data")
            assert single is not None
            address = single
        yield address


def _nodes(image: Image, info: Info, max_mapnr: int) -> list[Piece]:
    found = []
    for node in online_nodes(image, info):
        start, count, mem_map = (
            image.pointer(node + (info.offset(f"pglist_data.{member}") or 0))
            for member in ("node_start_pfn", "node_spanned_pages", "node_mem_map")
        )
        start -= _first_pfn(image, info)
        found.append(Piece(start, min(start + count, max_mapnr), mem_map))
    return sorted(found, key=lambda piece: piece.start)


def _sections(image: Image, info: Info, max_mapnr: int) -> list[Piece]:
    """Tries the exported address as the table, then as a pointer to the table."""
    base = info.symbol("mem_section")
    assert base is not None
    try:
        found = _table(image, info, base, max_mapnr)
        if any(piece.address for piece in found):
            return found
    except LookupError:
        pass
    return _table(image, info, image.pointer(base), max_mapnr)


def _table(image: Image, info: Info, base: int, max_mapnr: int) -> list[Piece]:
    page_size, size, each = int(info.lines["PAGESIZE"]), info.size("page"), info.size("mem_section")
    section_bits = info.number("SECTION_SIZE_BITS") or 27
    pages = (1 << section_bits) // page_size
    count = 1 << ((info.number("MAX_PHYSMEM_BITS") or 46) - section_bits)
    per_root = page_size // each
    length = info.value("LENGTH(mem_section)")
    extreme = length is None or length == -(-count // per_root)
    found = []
    first = _first_pfn(image, info)
    for section in range(-(-(first + max_mapnr) // pages)):
        address = base + section * each
        if extreme:
            root = image.pointer(base + section // per_root * image.word)
            address = root + section % per_root * each if root else 0
        value = image.pointer(address + (info.offset("mem_section.section_mem_map") or 0)) if address else 0
        start = section * pages
        mask = (1 << image.bits) - 1
        mem_map = ((value & ~0x1F) + start * size) & mask if value & 1 else 0
        if mem_map:
            image.read(mem_map, size)
        lost = max(first - start, 0)
        if lost < pages:
            address = mem_map + lost * size if mem_map else 0
            found.append(Piece(start + lost - first, min(start + pages - first, max_mapnr), address))
    return found
