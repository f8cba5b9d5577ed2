# SPDX-License-Identifier: GPL-2.0-or-later
"""The VMCOREINFO text: which lines a kernel of that release and model exports, and all of them with `debuginfo`."""

from __future__ import annotations

from dataclasses import dataclass

from factory.generation import Compound, Release
from factory.layout import FREE_AREAS
from factory.machine import Machine
from factory.models import section_roots
from factory.nodes import N_ONLINE, NODE_SLOTS, NODEMASK
from factory.spec import Lookup, Model

EVER: Release = (0, 0, 0)
NEVER: Release = (99, 0, 0)


@dataclass(frozen=True)
class Line:
    """`key` with a value (None: this kernel has no such thing), exported by the releases since <= release < until."""

    key: str
    value: int | str | None
    since: Release = EVER
    until: Release = NEVER


def vmcoreinfo(machine: Machine) -> str:
    """The text that the kernel leaves in its note."""
    spec = machine.spec
    release = spec.generation.release
    lines = [
        f"{line.key}={line.value}"
        for line in (*_symbols(machine), *_structures(machine), *_numbers(machine), *_machine(machine))
        if line.value is not None and (spec.debuginfo or line.since <= release < line.until)
    ]
    kept = [line for line in lines if line.split("=")[0] not in spec.without]
    # The first of two lines with one key counts.
    own = spec.form.lines if spec.form else ()
    return "\n".join((*own, *kept, *spec.extra)) + "\n"


def _symbols(machine: Machine) -> list[Line]:
    spec, symbols = machine.spec, machine.symbols

    def symbol(name: str) -> Line:
        return Line(f"SYMBOL({name})", f"{symbols[name]:x}" if name in symbols else None)

    model = spec.model
    return [
        Line("OSRELEASE", spec.release),
        Line("BUILD-ID", "6d616b656475" + "0" * 28, (5, 9, 0)),
        Line("PAGESIZE", spec.page_size),
        symbol("system_utsname"),
        symbol("init_uts_ns"),
        Line("OFFSET(uts_namespace.name)", spec.generation.uts_offset, (5, 11, 0)),
        symbol("node_online_map"),
        symbol("node_states"),
        symbol("swapper_pg_dir"),
        symbol("_stext"),
        symbol("mem_map"),
        symbol("contig_page_data"),
        symbol("mem_section"),
        Line("LENGTH(mem_section)", section_roots(spec) if model is Model.SPARSEMEM_EXTREME
             else 1 << (spec.physmem_bits - spec.section_bits) if model is Model.SPARSEMEM else None),
        Line("SIZE(mem_section)", spec.section_struct if "mem_section" in symbols else None),
        Line("OFFSET(mem_section.section_mem_map)", 0 if "mem_section" in symbols else None),
        Line("NUMBER(SECTION_SIZE_BITS)", spec.section_bits if "mem_section" in symbols else None),
        Line("NUMBER(MAX_PHYSMEM_BITS)", spec.physmem_bits if "mem_section" in symbols else None),
    ]  # fmt: skip


def _structures(machine: Machine) -> list[Line]:
    spec, page, node = machine.spec, machine.page, machine.node
    generation = spec.generation
    old = generation.compound in (Compound.WIDE, Compound.NARROW) or (3, 19, 0) <= generation.release < (4, 4, 0)
    folio = generation.compound is Compound.FOLIO
    embedded = spec.model in (Model.FLATMEM, Model.DISCONTIGMEM)
    head = generation.head_name
    named = (4, 4, 0)
    return [
        Line("SIZE(page)", page.size),
        Line("SIZE(pglist_data)", node.pglist_data),
        Line("SIZE(zone)", node.zone),
        Line("SIZE(free_area)", node.free_area),
        Line("SIZE(list_head)", node.list_head),
        Line("SIZE(nodemask_t)", NODEMASK),
        Line("OFFSET(page.flags)", page.flags),
        Line(f"OFFSET(page.{generation.count_name})", page.count),
        Line("OFFSET(page.mapping)", page.mapping),
        Line("OFFSET(page.lru)", page.lru),
        Line("OFFSET(page._mapcount)", page.mapcount, (3, 9, 0)),
        Line("OFFSET(page.private)", page.private, (3, 9, 0)),
        Line("OFFSET(page.compound_dtor)", page.dtor if old else None, named),
        Line("OFFSET(page.compound_order)", page.order if old else None, named),
        Line(f"OFFSET(page.{head})", page.lru if head else None, named),
        Line("OFFSET(folio._folio_dtor)", page.size + page.dtor if folio else None),
        Line("OFFSET(folio._folio_order)", page.size + page.order if folio else None),
        Line("OFFSET(pglist_data.node_zones)", 0),
        Line("OFFSET(pglist_data.nr_zones)", node.nr_zones),
        Line("OFFSET(pglist_data.node_mem_map)", node.node_mem_map if embedded else None),
        Line("OFFSET(pglist_data.node_start_pfn)", node.node_start_pfn),
        Line("OFFSET(pglist_data.node_spanned_pages)", node.node_spanned_pages),
        Line("OFFSET(pglist_data.node_id)", node.node_id),
        Line("OFFSET(pglist_data.pgdat_next)", node.pgdat_next if spec.node_lookup is Lookup.PGDAT_LIST else None),
        Line("OFFSET(zone.free_area)", node.zone_free_area),
        Line("OFFSET(zone.free_pages)", node.zone_free_pages if generation.release < (2, 6, 21) else None),
        Line("OFFSET(zone.vm_stat)", node.zone_free_pages if generation.release >= (2, 6, 21) else None),
        Line("OFFSET(zone.spanned_pages)", node.zone_spanned_pages),
        Line("OFFSET(free_area.free_list)", 0),
        Line("OFFSET(list_head.next)", 0),
        Line("OFFSET(list_head.prev)", spec.word),
        Line("LENGTH(zone.free_area)", FREE_AREAS),
        Line("LENGTH(free_area.free_list)", node.migrate_types, (2, 6, 24)),
    ]


def _signed(value: int | None) -> int | None:
    return None if value is None else value - (1 << 32) if value >> 31 else value


def _numbers(machine: Machine) -> list[Line]:
    generation = machine.spec.generation
    flags, types, release = generation.flags, generation.types, generation.release
    dtor = 2 if generation.compound in (Compound.WIDE, Compound.NARROW, Compound.FOLIO) else None
    return [
        Line("NUMBER(NR_FREE_PAGES)", 0 if release >= (2, 6, 21) else None),
        Line("NUMBER(PG_lru)", flags.lru, (2, 6, 24)),
        Line("NUMBER(PG_private)", flags.private, (2, 6, 24)),
        Line("NUMBER(PG_swapcache)", flags.swapcache, (2, 6, 24)),
        Line("NUMBER(PG_swapbacked)", flags.swapbacked, (4, 10, 0)),
        Line("NUMBER(PG_slab)", flags.slab, (3, 9, 0)),
        Line("NUMBER(PG_buddy)", flags.buddy if types.buddy is None else None, NEVER),
        Line("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", _signed(types.slab)),
        Line("NUMBER(PG_hwpoison)", flags.hwpoison, (3, 8, 0)),
        Line("NUMBER(PG_head_mask)", 1 << flags.head, (3, 17, 0)),
        Line("NUMBER(PG_hugetlb)", flags.hugetlb),
        Line("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", _signed(types.buddy), (3, 9, 0)),
        Line("NUMBER(HUGETLB_PAGE_DTOR)", dtor, (4, 4, 0)),
        Line("NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)", _signed(types.hugetlb)),
        Line("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", _signed(types.offline)),
        Line("NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)", _signed(types.unaccepted)),
        Line("SYMBOL(free_huge_page)", f"{machine.symbols['free_huge_page']:x}", (3, 17, 0), (4, 4, 0)),
    ]


def _machine(machine: Machine) -> list[Line]:
    spec, symbols = machine.spec, machine.symbols
    x86_64 = machine.tables is not None
    lookup = spec.node_lookup
    return [
        Line("NUMBER(phys_base)", machine.phys_base if x86_64 else None, (4, 10, 0)),
        *(Line(f"SYMBOL({name})", f"{symbols[name]:x}") for name in ("init_level4_pgt", "init_top_pgt", "node_data",
                                                                    "pgdat_list", "high_memory") if name in symbols),
        Line("LENGTH(node_data)", NODE_SLOTS if lookup is Lookup.NODE_DATA else None),
        Line("LENGTH(pgdat_list)", NODE_SLOTS if lookup is Lookup.PGDAT_ARRAY else None),
        Line("NUMBER(N_ONLINE)", N_ONLINE if "node_states" in symbols else None),
        Line("NUMBER(pgtable_l5_enabled)", int(spec.levels == 5) if x86_64 else None, (4, 17, 0)),
        Line("KERNELOFFSET", f"{spec.kaslr:x}" if x86_64 else None, (3, 14, 0)),
        Line("NUMBER(KERNEL_IMAGE_SIZE)", 1 << 30 if x86_64 else None, (4, 14, 0)),
        Line("NUMBER(sme_mask)", spec.sme_mask if x86_64 else None, (4, 20, 0)),
        Line("CONFIG_X86_PAE", "y" if spec.arch == "i386-pae" else None),
        Line("CRASHTIME", spec.crashtime),
    ]  # fmt: skip
