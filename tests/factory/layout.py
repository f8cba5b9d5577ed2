# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes and member offsets of the kernel's structures, by release and word size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from factory.generation import Compound, Generation

ByteOrder = Literal["little", "big"]
FREE_AREAS = 11
ZONES = 4
VM_STATS = 4


@dataclass(frozen=True)
class PageLayout:
    """struct page."""

    size: int
    flags: int
    count: int
    mapcount: int
    private: int
    mapping: int
    lru: int
    dtor: int
    dtor_width: int
    order: int
    order_width: int


def page_layout(generation: Generation, word: int, size: int | None = None) -> PageLayout:
    """struct page of a kernel whose `unsigned long` has `word` bytes; `size` overrides sizeof."""
    if generation.release >= (4, 18, 0):
        lru, mapping, private, mapcount, count = word, 3 * word, 5 * word, 6 * word, 6 * word + 4
    elif generation.release >= (3, 1, 0):
        mapping, mapcount, count, lru, private = word, 3 * word, 3 * word + 4, 3 * word + 8, 5 * word + 8
    else:
        count, mapcount, private, mapping, lru = word, word + 4, word + 8, 2 * word + 8, 4 * word + 8
    natural = 6 * word + 8
    if generation.release >= (3, 1, 0):
        natural = (natural + 15) // 16 * 16
    dtor, dtor_width, order, order_width = {
        Compound.LRU: (lru, word, lru + word, word),
        Compound.WIDE: (lru + word, 2, lru + word + 2, 2),
        Compound.NARROW: (lru + word, 1, lru + word + 1, 1),
        Compound.FOLIO: (lru + word, 1, lru + word + 1, 1),
        Compound.FLAGS: (0, 0, 0, 0),
    }[generation.compound]
    if size is not None and size < natural - 8:
        raise ValueError(f"struct page needs {natural - 8} bytes, not {size}")
    return PageLayout(size or natural, 0, count, mapcount, private, mapping, lru, dtor, dtor_width, order, order_width)


@dataclass(frozen=True)
class NodeLayout:
    """pglist_data, zone, free_area and list_head."""

    word: int
    migrate_types: int

    @property
    def list_head(self) -> int:
        """sizeof(struct list_head): next, then prev."""
        return 2 * self.word

    @property
    def free_area(self) -> int:
        """sizeof(struct free_area): the lists, then nr_free."""
        return self.list_head * self.migrate_types + self.word

    @property
    def zone_spanned_pages(self) -> int:
        """OFFSET(zone.spanned_pages)."""
        return 3 * self.word

    @property
    def zone_free_pages(self) -> int:
        """OFFSET(zone.free_pages), up to 2.6.20; zone.vm_stat begins at the same place later."""
        return 4 * self.word

    @property
    def zone_free_area(self) -> int:
        """OFFSET(zone.free_area)."""
        return (4 + VM_STATS) * self.word

    @property
    def zone(self) -> int:
        """sizeof(struct zone)."""
        return self.zone_free_area + FREE_AREAS * self.free_area

    @property
    def nr_zones(self) -> int:
        """OFFSET(pglist_data.nr_zones), an int behind node_zones."""
        return ZONES * self.zone

    @property
    def node_mem_map(self) -> int:
        """OFFSET(pglist_data.node_mem_map)."""
        return self.nr_zones + 8

    @property
    def node_start_pfn(self) -> int:
        """OFFSET(pglist_data.node_start_pfn)."""
        return self.node_mem_map + self.word

    @property
    def node_spanned_pages(self) -> int:
        """OFFSET(pglist_data.node_spanned_pages)."""
        return self.node_start_pfn + self.word

    @property
    def node_id(self) -> int:
        """OFFSET(pglist_data.node_id)."""
        return self.node_spanned_pages + self.word

    @property
    def pgdat_next(self) -> int:
        """OFFSET(pglist_data.pgdat_next)."""
        return self.node_id + 8

    @property
    def pglist_data(self) -> int:
        """sizeof(struct pglist_data)."""
        return self.pgdat_next + self.word
