# SPDX-License-Identifier: GPL-2.0-or-later
"""Free pages by the buddy system's lists, in kernels that don't export what tells them by struct page."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from captures import DumpFile, dump_of, elf_of, pfns_of
from factory import MIB, Free, Lookup, Model, Online, Ram, Spec, Vmcore, build, place, random_layout
from mdf.core.errors import FormatError, MdfError, MissingInfoError
from oracle import filter_pages

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB))
TWO_NODES: dict[str, Any] = {"model": Model.DISCONTIGMEM, "nodes": ((0, 1500), (1500, 3072))}
ONE_NODE: dict[str, Any] = {"model": Model.SPARSEMEM_EXTREME, "nodes": ((0, 3072),)}


@pytest.mark.parametrize(("lookup", "online"), [*product(Lookup, (Online.NODE_ONLINE_MAP, Online.NODE_STATES))])
def test_the_lists_of_all_nodes_zones_orders_and_migrate_types_are_walked(
    lookup: Lookup, online: Online, tmp_path: Path
) -> None:
    nodes = ONE_NODE if lookup is Lookup.CONTIG_PAGE_DATA else TWO_NODES
    core = build(random_layout(Spec(release="2.6.32", ram=SMALL, lookup=lookup, online=online, **nodes), seed=2))
    vmcore = elf_of(core, tmp_path)
    report = dump_of(core, vmcore, tmp_path / "dump", 16)
    assert report.free == len(core.excluded(16)) > 0
    assert DumpFile(tmp_path / "dump").bitmap2 == filter_pages(vmcore, 16)[1]


@pytest.mark.parametrize(("bits", "byteorder"), [*product((32, 64), ("little", "big"))])
def test_lists_of_every_word_size_and_byte_order(bits: Any, byteorder: Any, tmp_path: Path) -> None:
    spec = Spec(release="2.6.24", arch="linear", bits=bits, byteorder=byteorder, model=Model.FLATMEM, ram=SMALL)
    core = build(random_layout(spec, seed=2))
    report = dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 16)
    assert report.free == len(core.excluded(16)) > 0


def test_a_kernel_without_a_map_of_online_nodes_has_one(tmp_path: Path) -> None:
    core = build(random_layout(Spec(release="2.6.32", ram=SMALL, online=Online.NOWHERE), seed=2))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 16)
    assert pfns_of(DumpFile(tmp_path / "dump").bitmap2) == set(core.ram_pfns) - core.excluded(16)


def _core(**changes: Any) -> Vmcore:
    pages = (place(2560, Free(order=3)), place(2576, Free(order=3)), place(2592, Free(order=3)))
    return build(Spec(release="2.6.32", ram=SMALL, pages=pages, **changes))


def _link(core: Vmcore, pfn: int, member: int, value: int) -> None:
    """Changes page.lru.next (member 0) or .prev (1)."""
    core.mem_map.write(pfn, value.to_bytes(8, "little"), core.machine.page.lru + 8 * member)


def _entry(core: Vmcore, pfn: int) -> int:
    return core.mem_map.address(pfn) + core.machine.page.lru


def _refused(core: Vmcore, folder: Path, error: type[MdfError], match: str) -> None:
    with pytest.raises(error, match=match):
        dump_of(core, elf_of(core, folder), folder / "dump", 16)
    assert not (folder / "dump").exists()


def test_an_entry_whose_prev_is_wrong_breaks_the_list(tmp_path: Path) -> None:
    core = _core()
    _link(core, 2576, 1, _entry(core, 2592))
    _refused(core, tmp_path, FormatError, "The free list is broken.")


@pytest.mark.parametrize("back_to", [2560, 2576, 2592])
def test_a_list_that_never_returns_to_its_head_is_broken(back_to: int, tmp_path: Path) -> None:
    core = _core()
    _link(core, 2592, 0, _entry(core, back_to))
    _refused(core, tmp_path, FormatError, "The free list is broken.")


def test_a_link_to_nowhere_ends_the_run(tmp_path: Path) -> None:
    core = _core()
    _link(core, 2576, 0, 0xDEAD0000)
    _refused(core, tmp_path, MdfError, "0xdead0008 is not mapped")


def test_an_entry_that_is_no_struct_page_ends_the_run(tmp_path: Path) -> None:
    core = _core()
    stray = core.machine.memory.allocate(4096)
    core.machine.memory.write_word(stray, core.machine.virt(stray))
    core.machine.memory.write_word(stray + 8, _entry(core, 2592))
    _link(core, 2592, 0, core.machine.virt(stray))
    _refused(core, tmp_path, FormatError, "is no struct page")


@pytest.mark.parametrize(
    "key", ["SIZE(zone)", "OFFSET(page.lru)", "LENGTH(zone.free_area)", "OFFSET(pglist_data.nr_zones)"]
)
def test_a_missing_key_is_named(key: str, tmp_path: Path) -> None:
    core = _core(without=(key,))
    with pytest.raises(MissingInfoError) as caught:
        dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 16)
    assert key in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "SIZE(zone)=0",
        "SIZE(zone)=2147483648",
        "SIZE(free_area)=0",
        "SIZE(free_area)=1073741824",
        "SIZE(list_head)=8",
        "OFFSET(free_area.free_list)=4096",
        "LENGTH(zone.free_area)=65",
    ],
)
def test_lists_that_are_not_in_areas_or_those_not_in_zones_are_refused_before_they_are_read(
    line: str, tmp_path: Path
) -> None:
    core = _core(without=(line.split("=")[0],), extra=(line,))
    _refused(core, tmp_path, FormatError, "Invalid data in vmcoreinfo: .* in a zone of")


def test_nodes_that_are_the_same_are_refused(tmp_path: Path) -> None:
    core = build(Spec(release="2.6.32", ram=SMALL, lookup=Lookup.NODE_DATA, **TWO_NODES))
    machine = core.machine
    table = core.symbols["node_data"] - machine.image + machine.image_paddr
    machine.memory.write(table + 8, machine.memory.read(table, 8))
    _refused(core, tmp_path, FormatError, "Can't get the pglist_data of node 1")
