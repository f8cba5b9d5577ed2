# SPDX-License-Identifier: GPL-2.0-or-later
"""Where this kernel keeps what the filter looks at: fields of struct page, bits of its flags, page types.

What a kernel does not export is None: unknown, and no page is left out for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mdf.capture.generations import (
    FLAGS,
    LIST_POINTERS_UNTIL,
    PG_HEAD_MASK,
    SWAPBACKED_ABOVE_PRIVATE,
    PageTypes,
    page_types,
    tail_widths,
)
from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.formats.elf import ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

_MAX_STRUCT_PAGE = 1 << 12


@dataclass(frozen=True)
class Field:
    """Bytes of a struct page: offset and size."""

    offset: int
    size: int


@dataclass(frozen=True)
class Compound:
    """How a compound page's head tells its order, and whether it is hugetlb.

    `order` and `hugetlb` are fields of the first tail, the struct page behind the head's. `hugetlb` holds one of
    `destructors`; else the head has the page type `hugetlb_type`, or the first tail the flag `hugetlb_flag`.
    """

    order: Field | None = None
    hugetlb: Field | None = None
    destructors: tuple[int, ...] = ()
    hugetlb_type: int | None = None
    hugetlb_flag: int | None = None


@dataclass(frozen=True)
class PageLayout:
    """The layout of struct page (`size` bytes) as far as the filter needs it."""

    size: int
    byteorder: ByteOrder
    long_size: int
    flags: int
    mapping: int
    mapcount: int | None
    private: int | None
    compound_head: int | None
    lru: int
    private_flag: int
    swapcache: int
    swapbacked: int | None
    slab: int
    hwpoison: int | None
    head_mask: int
    slab_type: int | None
    buddy_type: int | None
    buddy_flag: int | None
    offline_type: int | None
    unaccepted_type: int | None
    free_area_length: int | None
    compound: Compound

    @property
    def buddy_known(self) -> bool:
        """Whether a free block can be told by its struct page."""
        if self.private is None:
            return False
        return self.buddy_flag is not None if self.buddy_type is None else self.mapcount is not None


def page_layout(info: Vmcoreinfo, release: Release, byteorder: ByteOrder, long_size: int) -> PageLayout:
    """The layout by what the kernel exports, and by its release where old kernels did not export it.

    Raises MissingInfoError without the basic fields, FormatError for fields that lie outside of struct page.
    """
    size, flags, mapping = info.size("page"), info.offset("page.flags"), info.offset("page.mapping")
    if size is None or flags is None or mapping is None:
        raise MissingInfoError(
            "Can't filter pages: vmcoreinfo lacks SIZE(page), OFFSET(page.flags) or OFFSET(page.mapping)."
        )
    if not long_size < size <= _MAX_STRUCT_PAGE:
        raise FormatError(f"Invalid data in vmcoreinfo: SIZE(page)={size}")
    bits = 8 * long_size
    lru, slab, private, swapcache = (_flag_or_default(info, name, bits) for name in FLAGS)
    swapbacked = _flag(info, "PG_swapbacked", bits)
    if swapbacked is None and swapcache < private:
        swapbacked = private + SWAPBACKED_ABOVE_PRIVATE
    types = _page_types(info, release)
    mapcount = info.offset("page._mapcount")
    head_mask = info.number("PG_head_mask")
    layout = PageLayout(
        size=size,
        byteorder=byteorder,
        long_size=long_size,
        flags=flags,
        mapping=mapping,
        mapcount=mapcount,
        private=info.offset("page.private"),
        compound_head=info.offset("page.compound_head", "page.compound_info"),
        lru=lru,
        private_flag=private,
        swapcache=swapcache,
        swapbacked=swapbacked,
        slab=slab,
        hwpoison=_flag(info, "PG_hwpoison", bits),
        head_mask=PG_HEAD_MASK if head_mask is None else head_mask,
        slab_type=types.slab,
        buddy_type=types.buddy,
        buddy_flag=_flag(info, "PG_buddy", bits),
        offline_type=types.offline,
        unaccepted_type=types.unaccepted,
        free_area_length=info.length("zone.free_area"),
        compound=_compound(info, release, types, size, flags, long_size, byteorder),
    )
    _check_inside(layout)
    return layout


def _flag(info: Vmcoreinfo, name: str, bits: int) -> int | None:
    """The number of a bit in page.flags. In debug information of 6.10 and 6.11, names like these are page types."""
    number = info.number(name)
    return number if number is not None and 0 <= number < bits else None


def _flag_or_default(info: Vmcoreinfo, name: str, bits: int) -> int:
    number = _flag(info, name, bits)
    return FLAGS[name] if number is None else number


def _page_types(info: Vmcoreinfo, release: Release) -> PageTypes:
    """A kernel that exports page types exports all that it has; they are in no debug information."""
    names = ("buddy", "offline", "hugetlb", "slab", "unaccepted")
    exported = {name: info.number(f"PAGE_{name.upper()}_MAPCOUNT_VALUE") for name in names}
    if set(exported.values()) == {None}:
        return page_types(release)
    return PageTypes(release, "", **exported)


def _compound(
    info: Vmcoreinfo, release: Release, types: PageTypes, size: int, flags: int, long_size: int, order: ByteOrder
) -> Compound:
    """The kernel's history, newest first; order and destructor are looked up each for itself."""
    in_flags = Field(flags if order == "little" else flags + long_size - 1, 1)
    hugetlb_flag = _flag(info, "PG_hugetlb", 8 * long_size)
    if types.hugetlb is not None:  # since 6.9 a page type of the head
        return Compound(order=in_flags, hugetlb_type=types.hugetlb)
    if hugetlb_flag is not None:  # 6.6 - 6.8
        return Compound(order=in_flags, hugetlb_flag=hugetlb_flag)
    numbers = (info.number("HUGETLB_PAGE_DTOR"), info.symbol("free_huge_page"))
    widths = tail_widths(release)
    return Compound(
        order=_in_tail(info, release, size, ("order", "prev"), widths.order),
        hugetlb=_in_tail(info, release, size, ("dtor", "next"), widths.destructor or long_size),
        destructors=tuple(number for number in numbers if number is not None),
    )


def _in_tail(info: Vmcoreinfo, release: Release, size: int, names: tuple[str, str], width: int) -> Field | None:
    """Where the first tail keeps the order or the destructor."""
    name, pointer = names
    offset = info.offset(f"folio._folio_{name}")
    if offset is not None:  # 6.3 - 6.5; struct folio spans the first two struct pages.
        return Field(offset - size, 1)
    offset = info.offset(f"page.compound_{name}")
    lru, within = info.offset("page.lru"), info.offset(f"list_head.{pointer}")
    if offset is None and release < LIST_POINTERS_UNTIL and lru is not None and within is not None:
        offset = lru + within  # The unused list pointers of a tail.
    return Field(offset, width) if offset else None


def _check_inside(layout: PageLayout) -> None:
    long = layout.long_size
    compound = (layout.compound.order, layout.compound.hugetlb)
    places = [(layout.flags, long), (layout.mapping, long)]
    places += [(offset, long) for offset in (layout.private, layout.compound_head) if offset is not None]
    places += [(layout.mapcount, 4)] if layout.mapcount is not None else []
    places += [(field.offset, field.size) for field in compound if field]
    if any(not 0 <= offset <= layout.size - size for offset, size in places):
        raise FormatError(f"Invalid data in vmcoreinfo: a field lies outside of struct page of {layout.size} bytes.")
