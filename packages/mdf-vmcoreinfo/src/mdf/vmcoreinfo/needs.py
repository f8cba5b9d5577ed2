# SPDX-License-Identifier: GPL-2.0-or-later
"""What each dump level needs of a kernel's information, and what a kernel that lacks it loses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

FINDING_PAGES = "finding the struct pages"


@dataclass(frozen=True)
class Need:
    """Something that is possible in any of `ways`: with all the keys of one. In a key, `|` parts names for one thing.

    `without` is what happens if no way is open; `dump_levels` are those that then leave out less, or fail.
    """

    purpose: str
    dump_levels: tuple[int, ...]
    without: str
    ways: tuple[tuple[str, ...], ...]


_BASICS = ("SIZE(page)", "OFFSET(page.flags)", "OFFSET(page._refcount)|OFFSET(page._count)", "OFFSET(page.mapping)")
_NODE = (
    "SIZE(pglist_data)",
    "OFFSET(pglist_data.node_mem_map)",
    "OFFSET(pglist_data.node_start_pfn)",
    "OFFSET(pglist_data.node_spanned_pages)",
)
_RINGBUFFER = ("SYMBOL(prb)", "SIZE(printk_ringbuffer)", "SIZE(prb_desc)", "SIZE(printk_info)")
_RECORDS = ("SYMBOL(log_buf)", "SYMBOL(log_buf_len)", "SYMBOL(log_first_idx)", "SYMBOL(log_next_idx)")

NEEDS = (
    Need(
        FINDING_PAGES,
        (2, 4, 8, 16),
        "no page can be left out but those filled with zero",
        (
            (*_BASICS, *_NODE, "LENGTH(node_data)|LENGTH(pgdat_list)|OFFSET(pglist_data.pgdat_next)"),
            (*_BASICS, "SYMBOL(mem_section)", "SIZE(mem_section)", "OFFSET(mem_section.section_mem_map)"),
            (*_BASICS, "SYMBOL(mem_map)"),
        ),
    ),
    Need(
        "the kernel's page tables",
        (2, 4, 8, 16),
        "the kernel's memory cannot be read",
        (("SYMBOL(init_top_pgt)|SYMBOL(init_level4_pgt)|SYMBOL(swapper_pg_dir)",),),
    ),
    Need(
        "the kernel's release",
        (2, 4, 8, 16),
        "the crashed kernel's name cannot be read",
        (("SYMBOL(init_uts_ns)|SYMBOL(system_utsname)",),),
    ),
    Need(
        "telling cache pages",
        (2, 4),
        "the flags of old kernels are assumed",
        (("NUMBER(PG_lru)", "NUMBER(PG_private)", "NUMBER(PG_swapcache)"),),
    ),
    Need(
        "large pages as one",
        (2, 4, 8),
        "of a large page only the first part is left out",
        (
            ("NUMBER(PG_head_mask)", "OFFSET(page.compound_order)|OFFSET(folio._folio_order)"),
            ("NUMBER(PG_head_mask)", "NUMBER(PG_hugetlb)"),
            ("NUMBER(PG_head_mask)", "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"),
        ),
    ),
    Need(
        "telling hugetlb pages",
        (8,),
        "hugetlb pages are kept",
        (
            ("NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)",),
            ("NUMBER(PG_hugetlb)",),
            (
                "OFFSET(page.compound_dtor)|OFFSET(folio._folio_dtor)",
                "NUMBER(HUGETLB_PAGE_DTOR)|SYMBOL(free_huge_page)",
            ),
        ),
    ),
    Need(
        "telling free pages",
        (16,),
        "the kernel's lists of free pages are walked",
        (
            ("OFFSET(page.private)", "OFFSET(page._mapcount)", "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"),
            ("OFFSET(page.private)", "NUMBER(PG_buddy)"),
        ),
    ),
    Need(
        "the lists of free pages",
        (16,),
        "free pages are left out only if each can be told by itself",
        (
            (
                "SYMBOL(node_data)|SYMBOL(pgdat_list)|SYMBOL(contig_page_data)",
                "SIZE(zone)",
                "SIZE(free_area)",
                "OFFSET(zone.free_area)",
                "OFFSET(zone.spanned_pages)",
                "OFFSET(zone.free_pages)|OFFSET(zone.vm_stat)",
                "OFFSET(pglist_data.node_zones)",
                "OFFSET(pglist_data.nr_zones)",
                "OFFSET(free_area.free_list)",
                "OFFSET(list_head.next)",
                "OFFSET(list_head.prev)",
                "OFFSET(page.lru)",
                "LENGTH(zone.free_area)",
            ),
        ),
    ),
    Need(
        "the kernel's log",
        (),
        "the log cannot be taken out of the dump",
        (
            _RINGBUFFER,
            (*_RECORDS, "SIZE(printk_log)|SIZE(log)"),
            ("SYMBOL(log_buf)", "SYMBOL(log_buf_len)", "SYMBOL(log_end)"),
        ),
    ),
)


def unmet(known: Collection[str]) -> Iterator[tuple[Need, tuple[str, ...]]]:
    """The needs that are not met where the keys `known` are, each with the keys that the nearest way lacks."""
    for need in NEEDS:
        lacking = [tuple(key for key in way if not known_as(key, known)) for way in need.ways]
        nearest = min(lacking, key=len)
        if nearest:
            yield need, nearest


def known_as(key: str, known: Collection[str]) -> bool:
    """Whether one of the names of `key` is known."""
    return any(name in known for name in key.split("|"))
