# SPDX-License-Identifier: GPL-2.0-or-later
"""Nodes, zones and the free lists in them: pglist_data, zone, free_area."""

from __future__ import annotations

from collections import defaultdict

from factory.kinds import Free
from factory.layout import FREE_AREAS
from factory.machine import Machine
from factory.memmap import MemMap
from factory.models import node_ranges
from factory.spec import Lookup, Model, Online

NODE_SLOTS = 64
NODEMASK = 8
N_ONLINE = 1
NR_ZONES = 3  # the one in the middle is empty


def write_nodes(machine: Machine, mem_map: MemMap) -> None:
    """Write all nodes, and link the free blocks of `mem_map` into their lists."""
    spec, memory, layout = machine.spec, machine.memory, machine.node
    ranges = node_ranges(spec)
    places = [
        machine.symbol("contig_page_data", layout.pglist_data)
        if spec.node_lookup is Lookup.CONTIG_PAGE_DATA
        else memory.allocate(layout.pglist_data)
        for _ in ranges
    ]
    if spec.node_lookup is Lookup.CONTIG_PAGE_DATA:
        addresses = [machine.symbols["contig_page_data"]]
        if len(ranges) != 1 or spec.model is Model.DISCONTIGMEM:
            raise ValueError("contig_page_data is the only node, and not in DISCONTIGMEM")
    else:
        addresses = [machine.virt(paddr) for paddr in places]
    for number, (start, end) in enumerate(ranges):
        paddr, address = places[number], addresses[number]
        following = addresses[number + 1] if number + 1 < len(ranges) else 0
        memory.write_integer(paddr + layout.nr_zones, NR_ZONES, 4)
        memory.write_word(paddr + layout.node_start_pfn, start)
        memory.write_word(paddr + layout.node_spanned_pages, end - start)
        memory.write_integer(paddr + layout.node_id, number, 4)
        memory.write_word(paddr + layout.pgdat_next, following)
        if spec.model in (Model.FLATMEM, Model.DISCONTIGMEM):
            memory.write_word(paddr + layout.node_mem_map, mem_map.pieces[number].address)
        middle = (start + end) // 2
        for zone, (first, last) in enumerate(((start, middle), (0, 0), (middle, end))):
            offset = zone * layout.zone
            _write_zone(machine, paddr + offset, address + offset, range(first, last), mem_map)
    _write_lookup(machine, addresses)


def _write_zone(machine: Machine, paddr: int, address: int, pfns: range, mem_map: MemMap) -> None:
    spec, memory, layout = machine.spec, machine.memory, machine.node
    if not pfns:
        return
    lists: dict[tuple[int, int], list[int]] = defaultdict(list)
    if spec.free_lists:
        for placement in spec.pages:
            kind = placement.kind
            if isinstance(kind, Free) and placement.pfn in pfns and kind.order < FREE_AREAS:
                lists[kind.order, kind.migrate_type % layout.migrate_types].append(placement.pfn)
    memory.write_word(paddr + layout.zone_spanned_pages, len(pfns))
    memory.write_word(paddr + layout.zone_free_pages, sum(len(blocks) << order for (order, _), blocks in lists.items()))
    for order in range(FREE_AREAS):
        area = layout.zone_free_area + order * layout.free_area
        for kind_of_list in range(layout.migrate_types):
            head = area + kind_of_list * layout.list_head
            blocks = lists[order, kind_of_list]
            entries = [mem_map.address(pfn) + machine.page.lru for pfn in blocks]
            ring = [address + head, *entries, address + head]
            memory.write_word(paddr + head, ring[1])
            memory.write_word(paddr + head + spec.word, ring[-2])
            for index in range(1, len(ring) - 1):
                links = b"".join(
                    link.to_bytes(spec.word, spec.byteorder) for link in (ring[index + 1], ring[index - 1])
                )
                mem_map.write(blocks[index - 1], links, machine.page.lru)
        count = sum(len(lists[order, kind_of_list]) for kind_of_list in range(layout.migrate_types))
        memory.write_word(paddr + area + layout.migrate_types * layout.list_head, count)


def _write_lookup(machine: Machine, addresses: list[int]) -> None:
    spec, memory = machine.spec, machine.memory
    word = spec.word
    if spec.node_lookup is Lookup.PGDAT_LIST:
        memory.write_word(machine.symbol("pgdat_list", word), addresses[0])
    elif spec.node_lookup is not Lookup.CONTIG_PAGE_DATA:
        name = "node_data" if spec.node_lookup is Lookup.NODE_DATA else "pgdat_list"
        table = machine.symbol(name, NODE_SLOTS * word)
        for number, address in enumerate(addresses):
            memory.write_word(table + number * word, address)
    online = (1 << len(addresses)) - 1
    if spec.online is Online.NODE_ONLINE_MAP:
        memory.write_integer(machine.symbol("node_online_map", NODEMASK), online, NODEMASK)
    elif spec.online is Online.NODE_STATES:
        table = machine.symbol("node_states", 5 * NODEMASK)
        memory.write_integer(table + N_ONLINE * NODEMASK, online, NODEMASK)
