# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of struct pages: masks for thousands of pages at once, and the order of a block."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, cached_property
from itertools import chain, repeat
from struct import Struct

from mdf.capture.columns import Columns, but_not
from mdf.capture.layout import PageLayout
from mdf.core.formats.elf import prefix

_GROUP = 512  # A compound head is never the last page of such a group.


@cache
def _not_last_of_group(count: int, first: int) -> int:
    column = bytearray(b"\x01" * count)
    at = -(first + 1) % _GROUP
    column[at::_GROUP] = bytes(len(column[at::_GROUP]))
    return int.from_bytes(column, "little")


class Pages(Columns):
    """The struct pages of the page frames [pfn, pfn + count), as they are in memory."""

    def __init__(self, data: bytes, pfn: int, layout: PageLayout) -> None:
        super().__init__(data, layout.size, layout.byteorder)
        self.pfn = pfn
        self.layout = layout

    def flag(self, number: int) -> int:
        """Bit `number` of page.flags; the low 32 bits are looked at."""
        return self.bit(self.layout.flags, self.layout.long_size, number % 32)

    def any_flag(self, flags: int) -> int:
        """Whether any bit of a mask is set in page.flags."""
        return self.any_bit(self.layout.flags, self.layout.long_size, flags)

    def page_type(self, value: int | None) -> int:
        """Whether page._mapcount is a page type; no page has a type that is unknown."""
        if value is None or self.layout.mapcount is None:
            return 0
        return self.equals(self.layout.mapcount, 4, value)

    @cached_property
    def tail(self) -> int:
        """Compound tails: their compound_head has bit 0 set."""
        offset, size = self.layout.compound_head, self.layout.long_size
        return 0 if offset is None else self.bit(offset, size, 0)

    @cached_property
    def head(self) -> int:
        """Compound heads; without the last page of a group, whose tail would be in the next one."""
        return self.any_flag(self.layout.head_mask) & _not_last_of_group(self.count, self.pfn % _GROUP)

    @cached_property
    def slab(self) -> int:
        """Slab pages: a flag up to 6.9, a page type since."""
        return self.page_type(self.layout.slab_type) | self.flag(self.layout.slab)

    @cached_property
    def anonymous(self) -> int:
        """Bit 0 of page.mapping; what a slab keeps in its place means nothing."""
        return but_not(self.bit(self.layout.mapping, self.layout.long_size, 0), self.slab)

    @cached_property
    def cache(self) -> int:
        """Pages on an LRU list or in the swap cache (whose flag means so since 4.10 only with PG_swapbacked)."""
        swapcache = self.flag(self.layout.swapcache)
        if self.layout.swapbacked is not None:
            swapcache &= self.flag(self.layout.swapbacked)
        return self.flag(self.layout.lru) | swapcache

    @cached_property
    def private(self) -> int:
        """Pages with private data."""
        return self.flag(self.layout.private_flag)

    @cached_property
    def buddy(self) -> int:
        """The first pages of free blocks."""
        if not self.layout.buddy_known:
            return 0
        if self.layout.buddy_type is not None:
            return but_not(self.page_type(self.layout.buddy_type), self.slab)
        return self.any_flag(1 << (self.layout.buddy_flag or 0))

    @cached_property
    def unaccepted(self) -> int:
        """Blocks of memory that a confidential guest has not accepted yet (since 6.16)."""
        return self.page_type(self.layout.unaccepted_type)

    @cached_property
    def hugetlb(self) -> int:
        """Heads of hugetlb pages."""
        compound, heads = self.layout.compound, self.head
        if not heads:
            return 0
        if compound.hugetlb_type is not None:
            return heads & self.page_type(compound.hugetlb_type)
        if compound.hugetlb_flag is not None:
            return heads & self.flag(compound.hugetlb_flag) >> 8
        mask, field = 0, compound.hugetlb
        if field:
            for destructor in compound.destructors:
                if destructor < 1 << 8 * field.size:
                    mask |= self.equals(field.offset, field.size, destructor) >> 8
        return heads & mask

    @cached_property
    def hwpoison(self) -> int:
        """Pages with a hardware memory error."""
        return 0 if self.layout.hwpoison is None else self.flag(self.layout.hwpoison)

    @cached_property
    def offline(self) -> int:
        """Pages that are not there logically: ballooned, or unplugged."""
        return but_not(self.page_type(self.layout.offline_type), self.slab)

    def compound_order(self, index: int) -> int:
        """The order of the compound page at `index`, which is a `head`; 0 for one that can't be."""
        field = self.layout.compound.order
        if field is None or index + 1 >= self.count:
            return 0
        at = (index + 1) * self.layout.size + field.offset
        order = int.from_bytes(self._data[at : at + field.size], self.layout.byteorder)
        if order >= 8 * self.layout.long_size or (self.pfn + index) & (1 << order) - 1:
            return 0
        return order

    @property
    def max_order(self) -> int:
        """The largest order of the buddy system."""
        return (self.layout.free_area_length or 1) - 1

    def buddy_orders(self, indices: Iterable[int]) -> Iterable[int]:
        """page.private of the free blocks at `indices`."""
        unpack = Struct(prefix(self.layout.byteorder) + ("Q" if self.layout.long_size == 8 else "I")).unpack_from
        size, first = self.layout.size, self.layout.private or 0
        return chain.from_iterable(map(unpack, repeat(self._data), [first + index * size for index in indices]))
