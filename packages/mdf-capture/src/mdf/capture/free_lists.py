# SPDX-License-Identifier: GPL-2.0-or-later
"""Free pages by the buddy system's own lists, for kernels whose struct pages don't tell them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mdf.core.bitmap import Bitmap
from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.kernel import Kernel, MemMap
from mdf.core.kernel.nodes import online_nodes, pgdat_addresses

_ZONES_MAX = 16
_ZONE_MAX = 1 << 20  # bytes


@dataclass(frozen=True)
class FreeAreas:
    """Where the lists are: offsets and sizes in bytes, and the numbers of orders and of lists for each order."""

    zone_size: int
    area_size: int
    list_size: int
    free_area: int
    free_list: int
    spanned_pages: int
    next: int
    prev: int
    lru: int
    node_zones: int
    nr_zones: int
    orders: int
    migrate_types: int

    @classmethod
    def of(cls, kernel: Kernel) -> FreeAreas:
        """Raises MissingInfoError, naming what the kernel information lacks."""
        info = kernel.info
        types = info.length("free_area.free_list")
        known = {
            "SIZE(zone)": info.size("zone"),
            "SIZE(free_area)": info.size("free_area"),
            "SIZE(list_head)": info.size("list_head") or 2 * (kernel.dump.bits // 8),
            "OFFSET(zone.free_area)": info.offset("zone.free_area"),
            "OFFSET(free_area.free_list)": info.offset("free_area.free_list"),
            "OFFSET(zone.spanned_pages)": info.offset("zone.spanned_pages"),
            "OFFSET(list_head.next)": info.offset("list_head.next"),
            "OFFSET(list_head.prev)": info.offset("list_head.prev"),
            "OFFSET(page.lru)": info.offset("page.lru"),
            "OFFSET(pglist_data.node_zones)": info.offset("pglist_data.node_zones"),
            "OFFSET(pglist_data.nr_zones)": info.offset("pglist_data.nr_zones"),
            "LENGTH(zone.free_area)": info.length("zone.free_area"),
            # One list for each order before 2.6.24.
            "LENGTH(free_area.free_list)": 1 if types is None else types,
        }
        missing = [key for key, value in known.items() if value is None]
        if missing:
            raise MissingInfoError(
                f"Can't find free pages: vmcoreinfo lacks {', '.join(missing)}.",
                hint="Use a dump level without 16.",
            )
        areas = cls(*(value for value in known.values() if value is not None))
        areas.check(kernel.dump.bits // 8)
        return areas

    def check(self, long: int) -> None:
        """Raises FormatError unless lists are in free areas, and those in zones."""
        lists, areas = self.migrate_types * self.list_size, self.orders * self.area_size
        if (
            not 0 < self.orders <= 64
            or not 0 < self.migrate_types <= 64
            or self.list_size < 2 * long
            or self.free_list + lists > self.area_size
            or not self.free_area + areas <= self.zone_size <= _ZONE_MAX
        ):
            raise FormatError(
                f"Invalid data in vmcoreinfo: {self.orders} orders with {self.migrate_types} lists of free pages, of "
                f"{self.list_size} bytes in {self.area_size}, in a zone of {self.zone_size} bytes."
            )


def exclude_free_pages(kernel: Kernel, pieces: Sequence[MemMap], keep: Bitmap) -> int:
    """Clears the pages of all free blocks in `keep`; returns how many they are.

    Raises FormatError for a list that is broken, or an entry that is no struct page.
    """
    areas = FreeAreas.of(kernel)
    size_of_page = kernel.info.size("page") or 1
    by_address = sorted(pieces, key=lambda piece: piece.address)
    starts = [piece.address for piece in by_address]
    free, heads = 0, set[int]()
    for zone in zones(kernel, areas):
        for order, entry in _entries(kernel, areas, zone, heads):
            address = entry - areas.lru
            index = bisect_right(starts, address) - 1
            piece = by_address[index] if index >= 0 else None
            pfn = piece.pfn_start + (address - piece.address) // size_of_page if piece else -1
            if piece is None or pfn >= piece.pfn_end:
                raise FormatError(f"The free list entry {entry:#x} is no struct page.")
            keep.clear_range(pfn, pfn + (1 << order))
            free += 1 << order
    return free


def zones(kernel: Kernel, areas: FreeAreas) -> Iterator[int]:
    long = kernel.dump.bits // 8
    for pgdat in pgdat_addresses(kernel, online_nodes(kernel)):
        count = kernel.read_uint(pgdat + areas.nr_zones, 4)
        if count > _ZONES_MAX:
            raise FormatError(f"Impossible number of zones: {count}.")
        for number in range(count):
            zone = pgdat + areas.node_zones + number * areas.zone_size
            if kernel.read_uint(zone + areas.spanned_pages, long):
                yield zone


def _entries(kernel: Kernel, areas: FreeAreas, zone: int, heads: set[int]) -> Iterator[tuple[int, int]]:
    """The order and list entry of every free block of a zone; `heads` are those of the lists seen so far.

    A loop cannot go on for ever: at the entry it comes back to, `prev` is not the entry before. No list is read twice.
    """
    for order in reversed(range(areas.orders)):
        for migrate_type in range(areas.migrate_types):
            head = zone + areas.free_area + areas.area_size * order + areas.free_list + areas.list_size * migrate_type
            if head in heads:
                raise FormatError(f"Two zones have the free list at {head:#x}.")
            heads.add(head)
            before, entry = head, kernel.read_pointer(head + areas.next)
            while entry != head:
                if kernel.read_pointer(entry + areas.prev) != before:
                    raise FormatError(f"The free list is broken. (order {order}, entry {entry:#x})")
                yield order, entry
                before, entry = entry, kernel.read_pointer(entry + areas.next)
