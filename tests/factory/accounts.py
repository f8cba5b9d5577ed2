# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that describes itself in its memory: a table of symbols, types, and counters of its pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from debuginfo import Array, Enum, Int, Struct, Type, btf
from factory.generation import Generation
from factory.kallsyms import put_kallsyms
from factory.kinds import Anon, Cache, Free, Hugetlb, Hwpoison, Ksm, LargeFolio, Offline, Slab, SwapCache, Thp
from factory.vmcore import Vmcore

_COUNTED = {
    Anon: "NR_ANON_MAPPED",
    Ksm: "NR_ANON_MAPPED",
    Thp: "NR_ANON_MAPPED",
    Cache: "NR_FILE_PAGES",
    LargeFolio: "NR_FILE_PAGES",
    Slab: "NR_SLAB_UNRECLAIMABLE_B",
    Free: "NR_FREE_PAGES",
    Offline: "NR_BALLOON_PAGES",
}
_ZONE_ITEMS = ("NR_FREE_PAGES", "NR_MLOCK")
# In an order of no kernel.
_NODE_ITEMS = (
    *("NR_BALLOON_PAGES", "NR_FILE_PAGES", "NR_PAGETABLE", "NR_SWAPCACHE", "NR_ANON_MAPPED", "NR_ISOLATED_ANON"),
    *("NR_ISOLATED_FILE", "NR_SLAB_RECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE_B", "NR_INACTIVE_ANON", "NR_ACTIVE_ANON"),
    *("NR_INACTIVE_FILE", "NR_ACTIVE_FILE", "NR_UNEVICTABLE"),
)
_HSTATE, _ORDER, _NR_HUGE_PAGES = 96, 40, 64


def counted(core: Vmcore) -> Counter[str]:
    """What the kernel counts of the pages that it was made with."""
    counts: Counter[str] = Counter()
    for placement in core.spec.pages:
        kind, pages = placement.kind, len(placement.pfns)
        if isinstance(kind, SwapCache):
            counts.update(dict.fromkeys(("NR_FILE_PAGES", "NR_SWAPCACHE"), pages))
        elif isinstance(kind, Hugetlb):
            counts[f"order {kind.order}"] += 1
        elif isinstance(kind, Hwpoison):
            counts["poisoned"] += pages
        elif type(kind) in _COUNTED:
            counts[_COUNTED[type(kind)]] += pages
    return counts


def own_types(core: Vmcore, *, counters: bool = True) -> bytes:
    """The kernel's BTF: its struct page, the numbers of its flags and page types, and of its counters."""
    generation, page, word = core.spec.generation, core.machine.page, core.spec.word
    long = Int("long", word)
    names = {"flags": page.flags, "mapping": page.mapping, "_mapcount": page.mapcount, "private": page.private}
    if generation.head_name:
        names[generation.head_name] = page.lru
    inner = Struct("", page.size, members=[(name, long, offset) for name, offset in names.items()])
    types: list[Type] = [
        Struct("page", page.size, members=[("", inner, 0), (generation.count_name, long, page.count)]),
        Enum("pageflags", 4, values=_flags(generation)),
        Enum("pagetype", 4, values=_page_types(generation)),
        Struct("hstate", _HSTATE, members=[("order", Int("int", 4), _ORDER), ("nr_huge_pages", long, _NR_HUGE_PAGES),
                                           ("name", Array(to=long, length=2), 72)]),
    ]  # fmt: skip
    if counters:
        for name, items in (("zone_stat_item", _ZONE_ITEMS), ("node_stat_item", _NODE_ITEMS)):
            values = {item: number for number, item in enumerate(items)}
            types.append(Enum(name, 4, values={**values, f"NR_VM_{name.upper()}S": len(items)}))
    return btf(types, core.spec.byteorder)


def _flags(generation: Generation) -> dict[str, int]:
    flags = {
        name: getattr(generation.flags, name) for name in ("lru", "private", "swapcache", "swapbacked", "hwpoison")
    }
    return {f"PG_{name}": bit for name, bit in {**flags, "head": generation.flags.head}.items() if bit is not None}


def _page_types(generation: Generation) -> dict[str, int]:
    if generation.release < (6, 12, 0):
        return {}
    types = {name: getattr(generation.types, name) for name in ("buddy", "offline", "hugetlb", "slab", "unaccepted")}
    return {f"PGTY_{name}": value >> 24 & 0xFF for name, value in types.items() if value is not None}


def put_accounts(
    core: Vmcore, changed: Mapping[str, int] | None = None, *, form: str = "base", without: Collection[str] = ()
) -> Vmcore:
    """Puts the table of symbols, types and counters into the memory; `changed` are counters with other values,
    `without` are symbols that the kernel has not.
    """
    machine, word = core.machine, core.spec.word
    counts = counted(core) + Counter()
    counts.update({name: value - counts[name] for name, value in (changed or {}).items()})
    for symbol, items in (("vm_zone_stat", _ZONE_ITEMS), ("vm_node_stat", _NODE_ITEMS)):
        table = machine.symbol(symbol, len(items) * word)
        for number, item in enumerate(items):
            machine.memory.write_word(table + number * word, counts[item])
    orders = sorted(int(name.split()[1]) for name in counts if name.startswith("order "))
    pools = machine.symbol("hstates", _HSTATE * max(len(orders), 1))
    for number, order in enumerate(orders):
        machine.memory.write_integer(pools + number * _HSTATE + _ORDER, order, 4)
        machine.memory.write_word(pools + number * _HSTATE + _NR_HUGE_PAGES, counts[f"order {order}"])
    machine.memory.write_integer(machine.symbol("hugetlb_max_hstate", 4), len(orders), 4)
    machine.memory.write_integer(machine.symbol("nr_cpu_ids", 4), core.spec.cpus, 4)
    machine.memory.write_word(machine.symbol("num_poisoned_pages", word), counts["poisoned"])
    machine.memory.write_word(machine.symbol("_totalram_pages", word), counts["managed"] or len(core.ram_pfns) // 2)
    types = own_types(core)
    machine.memory.write(machine.symbol("__start_BTF", len(types) + 1), types)
    symbols = dict(machine.symbols)
    symbols["__stop_BTF"] = symbols["__start_BTF"] + len(types)
    low = machine.image
    named = {name: at for name, at in symbols.items() if low <= at < low + (1 << 30) and name not in without}
    return put_kallsyms(core, named, form)
