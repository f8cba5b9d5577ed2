# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter by columns decides as the oracle does, one page after the other."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from captures import DumpFile, counters, dump_of, elf_of, pfns_of
from factory import (
    MIB,
    Anon,
    Cache,
    Content,
    ElfStyle,
    Free,
    Hugetlb,
    KdumpStyle,
    LargeFolio,
    Model,
    Placement,
    Ram,
    Spec,
    Thp,
    Vmcore,
    build,
    place,
    random_layout,
)
from mdf.core.errors import AddressError
from mdf.core.messages import Level, Messages
from oracle import filter_pages

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB))
# A kernel of each row of the rules' history: flags, page types, compound pages.
RELEASES = (
    "2.6.24", "2.6.28", "2.6.32", "2.6.37", "2.6.38", "2.6.39", "3.10.0", "3.17.0", "4.3.0", "4.4.0", "4.10.0",
    "4.16.0", "4.18.0", "4.20.0", "5.10.0", "5.18.0", "6.1.0", "6.2.0", "6.3.0", "6.6.0", "6.9.0", "6.10.0", "6.11.0",
    "6.12.0", "6.16.0", "7.1.0", "7.2.0",
)  # fmt: skip


def assert_filtered_as_the_oracle_does(core: Vmcore, folder: Path, *levels: int, **options: Any) -> None:
    vmcore = elf_of(core, folder)
    base = core.machine.direct if core.spec.arch == "linear" else None
    layout = "64" if core.bits == 64 else "packed" if core.spec.e_machine == 3 else "padded"
    for level in levels:
        report = dump_of(core, vmcore, folder / "dump", level, **options)
        bitmap1, bitmap2, expected = filter_pages(vmcore, level, base)
        dump = DumpFile(folder / "dump", layout, "<" if core.byteorder == "little" else ">")
        assert dump.bitmap1 == bitmap1, level
        assert dump.bitmap2 == bitmap2, level
        assert counters(report) == counters(expected), level
        assert report.total - report.original == expected.hole


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vmcore, Path]:
    core = build(random_layout(Spec(release="6.16.0", ram=SMALL), seed=7))
    folder = tmp_path_factory.mktemp("mixed")
    core.elf(folder / "vmcore")
    return core, folder


@pytest.mark.parametrize("level", range(32))
def test_every_level_leaves_out_and_counts_what_the_oracle_does(level: int, mixed: tuple[Vmcore, Path]) -> None:
    assert_filtered_as_the_oracle_does(*mixed, level)


@pytest.mark.parametrize("release", RELEASES)
def test_every_generation_of_kernels_is_filtered_by_its_own_rules(release: str, tmp_path: Path) -> None:
    core = build(random_layout(Spec(release=release, ram=SMALL), seed=3))
    assert_filtered_as_the_oracle_does(core, tmp_path, 31)


def test_level_0_leaves_out_what_nobody_may_read(tmp_path: Path) -> None:
    for release in ("2.6.32", "4.20.0", "7.2.0"):
        folder = tmp_path / release
        folder.mkdir()
        assert_filtered_as_the_oracle_does(build(random_layout(Spec(release=release, ram=SMALL), seed=3)), folder, 0)


@pytest.mark.parametrize("release", ["2.6.24", "2.6.37", "2.6.38", "3.10.0", "4.3.0"])
def test_old_kernels_with_all_of_their_keys_tell_free_blocks_by_struct_page(release: str, tmp_path: Path) -> None:
    core = build(random_layout(Spec(release=release, ram=SMALL, debuginfo=True, free_lists=False), seed=3))
    assert_filtered_as_the_oracle_does(core, tmp_path, 31)
    assert core.excluded(16)
    assert pfns_of(DumpFile(tmp_path / "dump").bitmap2).isdisjoint(core.excluded(31))


@pytest.mark.parametrize(("bits", "byteorder", "model"), [*product((32, 64), ("little", "big"), Model)])
def test_every_word_size_byte_order_and_memory_model(bits: Any, byteorder: Any, model: Model, tmp_path: Path) -> None:
    release = {Model.FLATMEM: "2.6.32", Model.DISCONTIGMEM: "3.10.0", Model.SPARSEMEM: "5.10.0"}.get(model, "7.2.0")
    spec = Spec(release=release, arch="linear", bits=bits, byteorder=byteorder, model=model, ram=SMALL)
    assert_filtered_as_the_oracle_does(build(random_layout(spec, seed=4)), tmp_path, 31)


@pytest.mark.parametrize(
    "change",
    [
        {"vmemmap": None},
        {"vmemmap": "4K"},
        {"levels": 5},
        {"direct_leaf": "1G"},
        {"direct_leaf": "4K", "image_leaf": "4K"},
        {"kaslr": 0x1F000000},
        {"sme_mask": 1 << 47},
        {"root_pointer": True},
        {"model": Model.SPARSEMEM},
        {"model": Model.FLATMEM},
        {"model": Model.DISCONTIGMEM, "nodes": ((0, 1501), (1501, 3072))},
        {"sizeof_page": 72, "vmemmap": "4K", "section_size_bits": 23},
        {"sizeof_page": 56, "model": Model.FLATMEM},
    ],
    ids=str,
)
def test_every_layout_of_x86_64(change: dict[str, Any], tmp_path: Path) -> None:
    core = build(random_layout(Spec(ram=SMALL, **change), seed=5))
    assert_filtered_as_the_oracle_does(core, tmp_path, 31)


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_pages_of_64_kib(byteorder: Any, tmp_path: Path) -> None:
    ram = (Ram(0, 32 * MIB), Ram(48 * MIB, 64 * MIB))
    spec = Spec(release="6.12.0", arch="linear", byteorder=byteorder, page_shift=16, section_size_bits=24, ram=ram)
    assert_filtered_as_the_oracle_does(build(random_layout(spec, seed=6)), tmp_path, 31)


@pytest.mark.parametrize(
    "ram",
    [
        (Ram(0x1234, 0x9F123), Ram(1 * MIB, 6 * MIB), Ram(7 * MIB + 0x800, 12 * MIB)),
        (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB + 0x2345)),
        (Ram(1 * MIB, 8 * MIB, 6 * MIB + 0x700), Ram(8 * MIB, 14 * MIB), Ram(14 * MIB, 16 * MIB, 0)),
        (Ram(4 * MIB, 12 * MIB), Ram(1 * MIB, 3 * MIB), Ram(2 * MIB, 5 * MIB)),
    ],
    ids=["cut inside pages", "ends inside a page", "less in the file", "out of order and overlapping"],
)
@pytest.mark.parametrize("page_frames_off", [0, 1])
def test_memory_with_holes_and_odd_ends(ram: tuple[Ram, ...], page_frames_off: int, tmp_path: Path) -> None:
    # Whether the number of page frames is a multiple of 4 decides about partly covered pages.
    last = ram[-1]
    spec = Spec(ram=(*ram, Ram(20 * MIB, 20 * MIB + 4096 * (4 + page_frames_off), last.filesz and 0x1000)))
    assert_filtered_as_the_oracle_does(build(random_layout(spec, seed=8)), tmp_path, 0, 31)


@pytest.mark.parametrize("release", ["3.17.0", "4.4.0", "6.1.0", "7.2.0"])
def test_gigantic_pages_that_cross_sections_go_whole(release: str, tmp_path: Path) -> None:
    pages = (place(4096, Hugetlb(order=12)), place(2048, Thp(order=11)), place(8192, Hugetlb(order=11, anon=True)))
    core = build(
        Spec(
            release=release,
            ram=(Ram(1 * MIB, 48 * MIB),),
            section_size_bits=22,
            max_physmem_bits=36,
            vmemmap="4K",
            pages=pages,
        )
    )
    assert_filtered_as_the_oracle_does(core, tmp_path, 8)
    assert pfns_of(DumpFile(tmp_path / "dump").bitmap2) == set(core.ram_pfns) - core.excluded(8)


@pytest.mark.parametrize("kind", [Free(order=3), Free(order=10), Hugetlb(order=3), LargeFolio(order=3)], ids=str)
@pytest.mark.parametrize("before", [1, 2])
def test_blocks_at_the_end_of_a_chunk_of_struct_pages(kind: Any, before: int, tmp_path: Path) -> None:
    # The filter reads 32768 struct pages at once; such blocks, unaligned as they are, don't occur in sound kernels.
    core = build(
        Spec(
            model=Model.FLATMEM,
            ram=(Ram(1 * MIB, 12 * MIB), Ram(126 * MIB, 134 * MIB)),
            pages=(Placement(32768 - before, kind), place(34000, Cache())),
            free_lists=False,
        )
    )
    # Without slab pages, which no kernel is without.
    assert_filtered_as_the_oracle_does(core, tmp_path, 31, trust_filter=True)


def test_a_block_that_crosses_whole_chunks_is_left_out_to_its_end(tmp_path: Path) -> None:
    pages = (place(1 << 17, Hugetlb(order=17, content=Content.ZERO)), place((1 << 18) + 1, Anon()))
    ram = (Ram(1 * MIB, 40 * MIB), Ram(512 * MIB, 1026 * MIB))
    core = build(Spec(model=Model.FLATMEM, ram=ram, pages=pages, default_content=Content.ZERO))
    report = dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 8, trust_filter=True)
    assert report.user == (1 << 17) + 1
    assert pfns_of(DumpFile(tmp_path / "dump").bitmap2) == set(core.ram_pfns) - core.excluded(8)


def _copy_struct_page(core: Vmcore, source: int, target: int) -> None:
    offset, size = core.mem_map.address(source) - core.machine.direct, core.machine.page.size
    core.mem_map.write(target, core.machine.memory.read(offset, size))


@pytest.mark.parametrize(("start", "inside"), [(2560, 2564), (32766, 32767), (32766, 32770)])
def test_what_looks_like_a_block_inside_of_a_block_is_not_looked_at(start: int, inside: int, tmp_path: Path) -> None:
    ram = (Ram(1 * MIB, 12 * MIB), Ram(126 * MIB, 134 * MIB))
    core = build(Spec(model=Model.FLATMEM, ram=ram, pages=(Placement(start, Free(order=3)),), free_lists=False))
    _copy_struct_page(core, start, inside)
    assert dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 31).free == 8
    assert_filtered_as_the_oracle_does(core, tmp_path, 31)


@pytest.mark.parametrize("release", ["4.3.0", "5.10.0", "6.6.0", "6.9.0"])
def test_the_last_page_of_a_group_of_512_is_no_compound_head(release: str, tmp_path: Path) -> None:
    # Nor are pages at odd numbers compound; but what hugetlb says of them is looked at.
    pages = (Placement(2557, Hugetlb(order=1)), Placement(2559, Hugetlb(order=1)))
    core = build(Spec(release=release, ram=SMALL, pages=pages, without=("SYMBOL(free_huge_page)",)))
    assert_filtered_as_the_oracle_does(core, tmp_path, 8)
    assert pfns_of(DumpFile(tmp_path / "dump").bitmap2) >= {2559, 2560}


def test_flag_7_means_slab_in_kernels_that_export_no_number_for_it(tmp_path: Path) -> None:
    core = build(Spec(release="6.12.0", ram=SMALL, pages=(place(2560, Anon()), place(2561, Anon()))))
    core.mem_map.write(2560, (1 << 7 | 1 << 3).to_bytes(8, "little"), core.machine.page.flags)
    assert_filtered_as_the_oracle_does(core, tmp_path, 8)
    assert pfns_of(DumpFile(tmp_path / "dump").bitmap2) == set(core.ram_pfns) - {2561}


@pytest.mark.parametrize("release", ["4.3.0", "4.4.0", "4.15.0", "4.16.0", "6.3.0", "6.6.0", "6.9.0"])
def test_orders_and_destructors_have_the_width_of_their_kernel(release: str, tmp_path: Path) -> None:
    # A number that is read with another width is another one, in big-endian memory.
    spec = Spec(release=release, arch="linear", byteorder="big", ram=SMALL)
    assert_filtered_as_the_oracle_does(build(random_layout(spec, seed=15)), tmp_path, 31)


def test_a_free_block_of_an_impossible_order_stays_with_a_warning(tmp_path: Path) -> None:
    core = build(Spec(pages=(place(4096, Free(order=11)), place(3072, Free(order=10))), free_lists=False))
    out = StringIO()
    messages = Messages(Level.COMMON, stdout=out)
    report = dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 16, messages)
    assert report.free == 1024
    assert out.getvalue() == "WARNING: Invalid free page order: pfn=1000, order=11, max order=10\n"
    assert_filtered_as_the_oracle_does(core, tmp_path, 16)


def test_struct_pages_may_be_missing_where_there_is_no_memory(tmp_path: Path) -> None:
    core, missing = _without_struct_pages_of(range(512, 1024), Spec(ram=(Ram(0x1000, 0x9F000), Ram(4 * MIB, 16 * MIB))))
    kdump = core.kdump(tmp_path / "vmcore", KdumpStyle(excluded=missing))
    dump_of(core, kdump, tmp_path / "dump", 31)
    kept = pfns_of(DumpFile(tmp_path / "dump").bitmap2)
    assert kept == set(core.ram_pfns) - core.excluded(31) - missing
    assert core.excluded(31)


def test_missing_struct_pages_of_memory_end_the_run(tmp_path: Path) -> None:
    core, missing = _without_struct_pages_of(
        range(1536, 2048), Spec(ram=(Ram(0x1000, 0x9F000), Ram(4 * MIB, 16 * MIB)))
    )
    kdump = core.kdump(tmp_path / "vmcore", KdumpStyle(excluded=missing))
    with pytest.raises(AddressError, match="Can't read the struct pages of page 0x600"):
        dump_of(core, kdump, tmp_path / "dump", 31)
    assert not (tmp_path / "dump").exists()


def _without_struct_pages_of(pfns: range, spec: Spec) -> tuple[Vmcore, set[int]]:
    core = build(random_layout(replace(spec, vmemmap=None), seed=9))
    first, last = (core.mem_map.address(pfn) - core.machine.direct for pfn in (pfns[0], pfns[-1]))
    return core, set(range(-(-first // 4096), last // 4096))


@pytest.mark.parametrize("style", [ElfStyle(qemu=True), ElfStyle(headers=70_000), ElfStyle(alignment=1)], ids=str)
def test_every_container_of_the_vmcore(style: ElfStyle, tmp_path: Path) -> None:
    core = build(random_layout(Spec(ram=SMALL), seed=10))
    core.elf(tmp_path / "vmcore", style)
    assert_filtered_as_the_oracle_does(core, tmp_path, 31)


def test_an_elf_dump_filters_each_segment_for_itself_with_the_same_counters(tmp_path: Path) -> None:
    spec = Spec(ram=(Ram(0x1000, 0x9F000), Ram(1 * MIB, 6 * MIB), Ram(8 * MIB, 12 * MIB)), text_segment=False)
    core = build(random_layout(spec, seed=11))
    vmcore = elf_of(core, tmp_path)
    for level in (0, 1, 8, 31):
        report = dump_of(core, vmcore, tmp_path / "dump", level, elf=True)
        assert counters(report) == counters(filter_pages(vmcore, level)[2])
