# SPDX-License-Identifier: GPL-2.0-or-later
"""What changed between 2.6.24 and 7.2 in how a kernel marks its pages, for what it does not export itself.

A kernel's own words (VMCOREINFO) go before these tables. A newer kernel is taken as the newest one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import NEWEST_KNOWN, Release

# Bits of page.flags in kernels that export none (before 2.6.34). Since 6.10 slab is a page type, and PG_slab is not
# exported; what bit 7 means there is left to the filter.
FLAGS: Mapping[str, int] = {"PG_lru": 5, "PG_slab": 7, "PG_private": 11, "PG_swapcache": 15}
PG_HEAD_MASK = 1 << 14
# Where PG_swapcache is below PG_private (2.6.30 and later), PG_swapbacked is so much above that.
SWAPBACKED_ABOVE_PRIVATE = 6


@dataclass(frozen=True)
class PageTypes:
    """Values of page._mapcount, as signed words, in kernels since `since`; None where there is no such type.

    `commit` is the kernel's that brought them.
    """

    since: Release
    commit: str
    buddy: int | None = None
    offline: int | None = None
    hugetlb: int | None = None
    slab: int | None = None
    unaccepted: int | None = None


def _numbered(number: int) -> int:
    """A number in the top byte."""
    return (number << 24) - (1 << 32)


PAGE_TYPES = (
    PageTypes(Release(2, 6, 24), ""),  # Free pages had a flag, PG_buddy.
    PageTypes(Release(2, 6, 38), "5f24ce5fd34c", buddy=-2),
    PageTypes(Release(2, 6, 39), "ef2b4b95a63a", buddy=-128),
    # Of a word of ones, a bit is cleared for each type.
    PageTypes(Release(4, 18), "6e292b9be7f4", buddy=~0x80),
    PageTypes(Release(5, 1), "ca215086b14b", buddy=~0x80, offline=~0x100),
    PageTypes(Release(6, 9), "d99e3140a4d3", buddy=~0x80, offline=~0x100, hugetlb=~0x800),
    PageTypes(Release(6, 10), "46df8e73a4a3", buddy=~0x80, offline=~0x100, hugetlb=~0x800, slab=~0x1000),
    PageTypes(
        Release(6, 11), "8db00ad56461", buddy=~(1 << 30), offline=~(1 << 29), hugetlb=~(1 << 26), slab=~(1 << 25)
    ),
    PageTypes(
        Release(6, 12),
        "4ffca5a96678",
        buddy=_numbered(0xF0),
        offline=_numbered(0xF1),
        hugetlb=_numbered(0xF4),
        slab=_numbered(0xF5),
    ),
    # The type is older, but only since then may such pages be left out.
    PageTypes(
        Release(6, 16),
        "",
        buddy=_numbered(0xF0),
        offline=_numbered(0xF1),
        hugetlb=_numbered(0xF4),
        slab=_numbered(0xF5),
        unaccepted=_numbered(0xF7),
    ),
)


def page_types(release: Release) -> PageTypes:
    """The page types of a kernel, by its release."""
    return next((types for types in reversed(PAGE_TYPES) if types.since <= release), PAGE_TYPES[0])


@dataclass(frozen=True)
class TailWidths:
    """Bytes of the order and of the destructor in the first tail of a compound page; 0 for those of a pointer."""

    since: Release
    commit: str
    order: int
    destructor: int


TAIL_WIDTHS = (
    TailWidths(Release(2, 6, 24), "", order=2, destructor=0),
    # A number instead of the destructor's address, in members of their own instead of the list pointers.
    TailWidths(Release(4, 4), "f1e61557f023", order=2, destructor=2),
    # "mm: store compound_dtor / compound_order as bytes"
    TailWidths(Release(4, 16), "", order=1, destructor=1),
)
LIST_POINTERS_UNTIL = Release(4, 4)


def tail_widths(release: Release) -> TailWidths:
    """How wide order and destructor are in a kernel, by its release."""
    return next((widths for widths in reversed(TAIL_WIDTHS) if widths.since <= release), TAIL_WIDTHS[0])


# What the newest known kernel says about its pages: one that does not has changed there.
_EXPORTED = (
    *("SIZE(page)", "OFFSET(page.flags)", "OFFSET(page._refcount)", "OFFSET(page.mapping)", "OFFSET(page._mapcount)"),
    *("OFFSET(page.private)", "OFFSET(page.compound_info)", "LENGTH(zone.free_area)"),
    *("NUMBER(PG_lru)", "NUMBER(PG_private)", "NUMBER(PG_swapcache)", "NUMBER(PG_swapbacked)", "NUMBER(PG_head_mask)"),
    *(f"NUMBER(PAGE_{name}_MAPCOUNT_VALUE)" for name in ("BUDDY", "OFFLINE", "HUGETLB", "SLAB", "UNACCEPTED")),
)


def newer_kernel_warning(info: Vmcoreinfo, release: Release) -> str | None:
    """What to tell of a kernel that is newer than those known, and whose memory map could be read; else None."""
    if release <= NEWEST_KNOWN:
        return None
    missing = [key for key in _EXPORTED if key not in info.values]
    newest = f"{NEWEST_KNOWN.major}.{NEWEST_KNOWN.minor}"
    checked = f"it doesn't export {', '.join(missing)}" if missing else f"it exports all that {newest} does"
    return (
        f"Linux {release} is taken as {newest}, the newest known: if it marks its pages in another way, wrong ones are"
        f" left out. Checked: its memory map can be read, and {checked}."
    )
