# SPDX-License-Identifier: GPL-2.0-or-later
"""Walks the free lists of all zones, for kernels whose struct pages don't tell."""

from __future__ import annotations

from collections.abc import Iterator

from oracle.image import Image, Info
from oracle.memmap import Piece, online_nodes


def free_blocks(image: Image, info: Info, parts: list[Piece]) -> Iterator[tuple[int, int]]:
    """Page frame number and order of each free block."""

    def member(name: str) -> int:
        offset = info.offset(name)
        assert offset is not None, name
        return offset

    areas = info.value("LENGTH(zone.free_area)")
    assert areas is not None
    kinds = info.value("LENGTH(free_area.free_list)") or 1
    for node in online_nodes(image, info):
        for number in range(image.number(node + member("pglist_data.nr_zones"), 4)):
            zone = node + member("pglist_data.node_zones") + number * info.size("zone")
            if not image.pointer(zone + member("zone.spanned_pages")):
                continue
            for order in range(areas - 1, -1, -1):
                area = zone + member("zone.free_area") + order * info.size("free_area")
                for kind in range(kinds):
                    head = area + member("free_area.free_list") + kind * info.size("list_head")
                    previous, entry = head, image.pointer(head + member("list_head.next"))
                    while entry != head:
                        assert image.pointer(entry + member("list_head.prev")) == previous, "the free list is broken"
                        yield _pfn(info, parts, entry - member("page.lru")), order
                        previous, entry = entry, image.pointer(entry + member("list_head.next"))


def _pfn(info: Info, parts: list[Piece], address: int) -> int:
    size = info.size("page")
    for part in parts:
        if part.address and part.address <= address < part.address + (part.end - part.start) * size:
            return part.start + (address - part.address) // size
    raise LookupError(f"no piece of the memory map has the struct page at {address:#x}")
