# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of VMCOREINFO in the order in which -g writes them: one row each."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a line tells, and how its value is found."""

    SYMBOL = "SYMBOL"  # Address of the symbol.
    NEXT_SYMBOL = "SYMBOL, of the next symbol"  # Address of the symbol that follows another.
    SIZE = "SIZE"
    OFFSET = "OFFSET"
    LENGTH = "LENGTH"  # Elements of a member.
    VARIABLE = "LENGTH, of a variable"  # Elements of a variable whose symbol is known.
    IS_ARRAY = "LENGTH, for any array"  # The largest number there is, if a variable is an array of any length.
    NUMBER = "NUMBER"
    SOURCE = "SRCFILE"

    @property
    def tag(self) -> str:
        """The word in front of the parenthesis."""
        return self.value.partition(",")[0]


@dataclass(frozen=True)
class Row:
    """A line: its value is that of the first of `lookups` that is known.

    It belongs only to kernels that have the structure `of` (if any), and none of `unless`. `element` is the structure
    a variable is an array of; without one it is an array of pointers. Where no enumerator of `lookups` is known, one of
    `bits` is the number of the bit that the value has.
    """

    kind: Kind
    name: str
    lookups: tuple[str, ...]
    of: str = ""
    unless: tuple[str, ...] = ()
    element: str = ""
    bits: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What stands before the equals sign."""
        return f"{self.kind.tag}({self.name})"


def _rows(kind: Kind, names: str, of: str = "", unless: tuple[str, ...] = ()) -> tuple[Row, ...]:
    return tuple(Row(kind, name, (name,), of, unless) for name in names.split())


def _printk(kind: Kind, ringbuffer: str, printk_log: str, log: str) -> tuple[Row, ...]:
    """The kernel's log: a ring buffer since 5.10, before that records, whose structure was renamed in 3.11."""
    return (
        *_rows(kind, ringbuffer, "printk_ringbuffer"),
        *_rows(kind, printk_log, "printk_log", ("printk_ringbuffer",)),
        *_rows(kind, log, "log", ("printk_ringbuffer", "printk_log")),
    )


LINUX = (
    *_rows(Kind.SYMBOL, "mem_map vmem_map mem_section pkmap_count"),
    Row(Kind.NEXT_SYMBOL, "pkmap_count_next", ("pkmap_count",)),
    *_rows(
        Kind.SYMBOL,
        "system_utsname init_uts_ns _stext swapper_pg_dir init_level4_pgt level4_kernel_pgt init_top_pgt vmlist "
        "vmap_area_list node_online_map node_states node_data pgdat_list contig_page_data prb clear_seq log_buf "
        "log_buf_len log_end log_first_idx clear_idx log_next_idx max_pfn high_memory node_remap_start_vaddr "
        "node_remap_end_vaddr node_remap_start_pfn vmemmap_list mmu_psize_defs mmu_vmemmap_psize cpu_pgd "
        "demote_segment_4k cur_cpu_spec free_huge_page",
    ),
    # SIZE(pageflags) has a place here, but the original never finds it: it takes an enumeration for a typedef.
    *_rows(Kind.SIZE, "page mem_section pglist_data zone free_area list_head node_memblk_s nodemask_t"),
    *_printk(Kind.SIZE, "printk_ringbuffer prb_desc printk_info latched_seq", "printk_log", "log"),
    *_rows(Kind.SIZE, "vmemmap_backing mmu_psize_def"),
    *_rows(
        Kind.OFFSET,
        "page.flags page._count page._refcount page.mapping page.lru page._mapcount page.private page.compound_dtor "
        "page.compound_order",
    ),
    Row(Kind.OFFSET, "page.compound_head", ("page.compound_head", "page.compound_info")),  # compound_info since 7.1.
    *_rows(
        Kind.OFFSET,
        "folio._folio_dtor folio._folio_order mem_section.section_mem_map pglist_data.node_zones pglist_data.nr_zones "
        "pglist_data.node_mem_map pglist_data.node_start_pfn pglist_data.node_spanned_pages pglist_data.pgdat_next "
        "zone.free_pages zone.free_area zone.vm_stat zone.spanned_pages free_area.free_list list_head.next "
        "list_head.prev node_memblk_s.start_paddr node_memblk_s.size node_memblk_s.nid vm_struct.addr "
        "vmap_area.va_start vmap_area.list",
    ),
    *_printk(
        Kind.OFFSET,
        "printk_ringbuffer.desc_ring printk_ringbuffer.text_data_ring prb_desc_ring.count_bits prb_desc_ring.descs "
        "prb_desc_ring.infos prb_desc_ring.head_id prb_desc_ring.tail_id prb_desc.state_var prb_desc.text_blk_lpos "
        "prb_data_blk_lpos.begin prb_data_blk_lpos.next prb_data_ring.size_bits prb_data_ring.data "
        "printk_info.ts_nsec printk_info.text_len printk_info.caller_id atomic_long_t.counter latched_seq.val",
        "printk_log.ts_nsec printk_log.len printk_log.text_len printk_log.caller_id",
        "log.ts_nsec log.len log.text_len",
    ),
    *_rows(
        Kind.OFFSET,
        "vmemmap_backing.phys vmemmap_backing.virt_addr vmemmap_backing.list mmu_psize_def.shift "
        "cpu_spec.mmu_features uts_namespace.name",
    ),
    Row(Kind.IS_ARRAY, "node_data", ("node_data",)),
    Row(Kind.VARIABLE, "pgdat_list", ("pgdat_list",)),
    Row(Kind.VARIABLE, "mem_section", ("mem_section",), element="mem_section"),
    Row(Kind.VARIABLE, "node_memblk", ("node_memblk",), element="node_memblk_s"),
    Row(Kind.VARIABLE, "node_remap_start_pfn", ("node_remap_start_pfn",)),
    *_rows(Kind.LENGTH, "zone.free_area free_area.free_list"),
    *_rows(Kind.NUMBER, "NR_FREE_PAGES N_ONLINE PG_lru PG_private"),
    Row(Kind.NUMBER, "PG_head_mask", ("PG_head_mask",), bits=("PG_head", "PG_compound")),
    *_rows(Kind.NUMBER, "PG_swapcache PG_swapbacked PG_buddy PG_slab PG_hwpoison PG_hugetlb HUGETLB_PAGE_DTOR"),
    Row(Kind.SOURCE, "pud_t", ("pud_t",)),
)

XEN = (
    *_rows(Kind.SYMBOL, "dom_xen dom_io domain_list xen_heap_start frame_table alloc_bitmap max_page"),
    Row(Kind.SYMBOL, "pgd_l2", ("idle_pg_table_l2",)),
    Row(Kind.SYMBOL, "pgd_l3", ("idle_pg_table_l3", "idle_pg_table")),
    Row(Kind.SYMBOL, "pgd_l4", ("idle_pg_table_4", "idle_pg_table")),
    *_rows(Kind.SYMBOL, "xenheap_phys_end xen_pstart frametable_pg_dir"),
    *_rows(Kind.SIZE, "page_info domain"),
    *_rows(Kind.OFFSET, "page_info.count_info page_info._domain domain.domain_id domain.next_in_list"),
)
