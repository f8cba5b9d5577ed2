# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel exports of its struct page, before any page is looked at: members aligned, numbers all different."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from mdf.capture.layout import PageLayout
from mdf.capture.rules import Kind
from mdf.capture.selfcheck.doubt import ALL, CACHES, IN_USE, Doubt
from mdf.core.kernel import Kernel
from mdf.core.release import Release

_CLEARED_BIT_SINCE, _TOP_BYTE_SINCE = Release(4, 18), Release(6, 12)

# The members (in long words, but _mapcount), and the kinds that can't be told without.
_MEMBERS = {
    "flags": ALL,
    "mapping": IN_USE,
    "private": (Kind.FREE,),
    "compound_head": ALL,
    "mapcount": (Kind.FREE, Kind.OFFLINE, Kind.USER),
}
FLAGS = {
    "PG_lru": CACHES,
    "PG_private": CACHES,
    "PG_swapcache": CACHES,
    "PG_swapbacked": CACHES,
    "PG_slab": (Kind.USER,),
    "PG_hwpoison": (Kind.HWPOISON,),
}
TYPES = {
    "PAGE_BUDDY_MAPCOUNT_VALUE": (Kind.FREE,),
    "PAGE_OFFLINE_MAPCOUNT_VALUE": (Kind.OFFLINE,),
    "PAGE_UNACCEPTED_MAPCOUNT_VALUE": (Kind.FREE,),
    "PAGE_HUGETLB_MAPCOUNT_VALUE": (Kind.USER,),
    "PAGE_SLAB_MAPCOUNT_VALUE": (Kind.USER,),
}


def doubts(kernel: Kernel, layout: PageLayout) -> Iterator[Doubt]:
    """Members of struct page that can't be there, and numbers that stand for two things."""
    info = kernel.info
    for member, kinds in _MEMBERS.items():
        offset, width = getattr(layout, member), 4 if member == "mapcount" else layout.long_size
        if offset is not None and offset % width:
            yield Doubt(kinds, f"{member} can't be at byte {offset} of struct page")
    if layout.size % layout.long_size:
        yield Doubt(ALL, f"struct page can't have {layout.size} bytes")
    if layout.head_mask & layout.head_mask - 1:
        yield Doubt(IN_USE, f"PG_head_mask {layout.head_mask:#x} is not one bit")
    for table in (FLAGS, TYPES):
        exported = [(name, info.number(name)) for name in table]
        for (one, value), (other, same) in combinations(exported, 2):
            if value is not None and value == same:
                yield Doubt((*table[one], *table[other]), f"{one} and {other} are both {value}")
    for name, kinds in TYPES.items():
        value = info.number(name)
        if value is not None and not _is_type(value & 0xFFFFFFFF, kernel.release):
            yield Doubt(kinds, f"{name} is no page type: {value}")


def _is_type(value: int, release: Release) -> bool:
    """A type is the top byte of a word of zeros (since 6.12), one bit that is cleared in a word of ones (since 4.18),
    or just a number.
    """
    if release >= _TOP_BYTE_SINCE:
        return not value & 0xFFFFFF and value >> 24 >= 0x80
    cleared = ~value & 0xFFFFFFFF
    return release < _CLEARED_BIT_SINCE or bool(cleared and not cleared & cleared - 1)
