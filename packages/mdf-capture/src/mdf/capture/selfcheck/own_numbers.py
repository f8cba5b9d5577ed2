# SPDX-License-Identifier: GPL-2.0-or-later
"""What the filter takes from VMCOREINFO, a vmlinux or a text, held against the types of the kernel that crashed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mdf.capture.rules import Kind
from mdf.capture.selfcheck.doubt import ALL, IN_USE, Doubt
from mdf.capture.selfcheck.exported import FLAGS, TYPES
from mdf.capture.selfcheck.own_words import OwnWords
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

# Members of struct page and struct folio, and the kinds that can't be told without.
_MEMBERS = {
    "page.flags": ALL,
    "page._refcount": (),
    "page.mapping": IN_USE,
    "page.private": (Kind.FREE,),
    "page._mapcount": (Kind.FREE, Kind.OFFLINE, Kind.USER),
    "page.compound_head": ALL,
    "page.compound_info": ALL,
    "page.compound_dtor": IN_USE,
    "page.compound_order": IN_USE,
    "folio._folio_dtor": IN_USE,
    "folio._folio_order": IN_USE,
}


def doubts(info: Vmcoreinfo, words: OwnWords) -> Iterator[Doubt]:
    """Numbers that are others in the kernel's own types."""
    for key, value, own, kinds in _compared(info, words):
        if value is not None and own is not None and value != own:
            yield Doubt(kinds, f"{key} is {value}, but {own} in the kernel's own types")


def _compared(info: Vmcoreinfo, words: OwnWords) -> Iterator[tuple[str, int | None, int | None, tuple[Kind, ...]]]:
    """The keys, their values, those in the kernel's types, and the kinds that can't be told if these are others."""
    page = words.structure("page")
    yield "SIZE(page)", info.size("page"), page.size if page else None, ALL
    for key, kinds in _MEMBERS.items():
        structure, _, member = key.partition(".")
        value = info.offset(key)
        shape = words.structure(structure) if value is not None else None
        place = shape.members.get(member) if shape else None
        yield f"OFFSET({key})", value, place.offset if place else None, kinds
    flags, types = words.constants("pageflags"), words.constants("pagetype")
    for name, kinds in (FLAGS | {"PG_hugetlb": (Kind.USER,)}).items():
        yield f"NUMBER({name})", info.number(name), flags.get(name), kinds
    head = flags.get("PG_head")
    yield "NUMBER(PG_head_mask)", info.number("PG_head_mask"), None if head is None else 1 << head, IN_USE
    if (dtor := info.number("HUGETLB_PAGE_DTOR")) is not None:
        own = words.constants("compound_dtor_id").get("HUGETLB_PAGE_DTOR")
        yield "NUMBER(HUGETLB_PAGE_DTOR)", dtor, own, (Kind.USER,)
    for name, kinds in TYPES.items():
        yield f"NUMBER({name})", info.number(name), _page_type(types, name.split("_")[1].lower()), kinds


def _page_type(types: Mapping[str, int], name: str) -> int | None:
    """The value of page._mapcount for a page type, by the enumeration that types have since 6.11."""
    if f"PGTY_{name}" in types:
        return (types[f"PGTY_{name}"] << 24) - (1 << 32)  # Since 6.12 a number in the top byte.
    bit = types.get(f"PG_{name}")
    return None if bit is None else ~bit  # A bit that is cleared.
