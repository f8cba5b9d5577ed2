# SPDX-License-Identifier: GPL-2.0-or-later
"""What the factory declares is what the rules make of the memory that it writes."""

from itertools import product
from pathlib import Path

import pytest

from factory import (
    MIB,
    Anon,
    Cache,
    ElfStyle,
    Free,
    Hugetlb,
    Kind,
    LargeFolio,
    Lookup,
    Model,
    Online,
    Ram,
    Spec,
    Thp,
    build,
    place,
)
from factory.generation import parse_release
from factory_selftest.helpers import SMALL, filled, kept_by_declaration, kept_by_oracle
from oracle import filter_pages

RELEASES = (
    "2.6.18", "2.6.24", "2.6.28", "2.6.32", "2.6.38", "2.6.39", "3.10.0", "3.17.0", "4.3.0", "4.4.0", "4.10.0",
    "4.16.0", "4.18.0", "4.20.0", "5.10.0", "5.18.0", "6.1.0", "6.2.0", "6.3.0", "6.6.0", "6.9.0", "6.10.0", "6.11.0",
    "6.12.0", "6.16.0", "7.1.0", "7.2.0",
)  # fmt: skip
BEFORE_4_4 = [release for release in RELEASES if parse_release(release) < (4, 4, 0)]


@pytest.mark.parametrize("release", RELEASES)
def test_every_kind_of_every_generation_is_filtered_as_declared(release: str, tmp_path: Path) -> None:
    core = filled(Spec(release=release, ram=SMALL))
    for level in (0, 2, 4, 8, 16, 31):
        kept, _ = kept_by_oracle(core, tmp_path / "vmcore", level)
        assert kept == kept_by_declaration(core, level), level


@pytest.mark.parametrize("release", BEFORE_4_4)
def test_debug_information_gives_the_buddy_method_and_compound_members_to_old_kernels(
    release: str, tmp_path: Path
) -> None:
    core = filled(Spec(release=release, ram=SMALL, debuginfo=True, free_lists=False))
    kept, _ = kept_by_oracle(core, tmp_path / "vmcore", 31)
    assert kept == kept_by_declaration(core, 31)


@pytest.mark.parametrize(("bits", "byteorder", "model"), [*product((32, 64), ("little", "big"), Model)])
def test_every_word_size_byte_order_and_memory_model_reads_the_same(
    bits: int, byteorder: str, model: Model, tmp_path: Path
) -> None:
    for release in ("2.6.32", "4.4.0", "7.2.0"):
        spec = Spec(release=release, arch="linear", bits=bits, byteorder=byteorder, model=model, ram=SMALL)  # type: ignore[arg-type]
        core = filled(spec)
        kept, _ = kept_by_oracle(core, tmp_path / "vmcore", 31)
        assert kept == kept_by_declaration(core, 31)


@pytest.mark.parametrize("model", Model)
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
        {"section_size_bits": 22},
        {"sizeof_page": 72, "vmemmap": "4K", "section_size_bits": 23},
    ],
    ids=str,
)
def test_every_layout_of_x86_64_reads_the_same(model: Model, change: dict[str, object], tmp_path: Path) -> None:
    core = filled(Spec(model=model, ram=SMALL, **change))  # type: ignore[arg-type]
    kept, _ = kept_by_oracle(core, tmp_path / "vmcore", 31)
    assert kept == kept_by_declaration(core, 31)


@pytest.mark.parametrize(("lookup", "online"), [*product(Lookup, (Online.NODE_ONLINE_MAP, Online.NODE_STATES))])
def test_free_lists_of_all_nodes_are_found(lookup: Lookup, online: Online, tmp_path: Path) -> None:
    single = lookup is Lookup.CONTIG_PAGE_DATA
    core = filled(
        Spec(
            release="2.6.32",
            ram=SMALL,
            model=Model.SPARSEMEM_EXTREME if single else Model.DISCONTIGMEM,
            nodes=((0, 3072),) if single else ((0, 1500), (1500, 3072)),
            lookup=lookup,
            online=online,
        )
    )
    kept, counters = kept_by_oracle(core, tmp_path / "vmcore", 16)
    assert kept == kept_by_declaration(core, 16)
    assert counters.free == len(core.excluded(16)) > 0


@pytest.mark.parametrize(("byteorder", "release"), [*product(("little", "big"), ("3.10.0", "6.12.0"))])
def test_pages_of_64_kib_read_the_same(byteorder: str, release: str, tmp_path: Path) -> None:
    ram = (Ram(0, 64 * MIB), Ram(80 * MIB, 96 * MIB))
    spec = Spec(release=release, arch="linear", byteorder=byteorder, page_shift=16, section_size_bits=24, ram=ram)  # type: ignore[arg-type]
    core = filled(spec)
    kept, _ = kept_by_oracle(core, tmp_path / "vmcore", 31)
    assert kept == kept_by_declaration(core, 31)


def test_without_free_lists_an_old_kernel_has_no_free_pages(tmp_path: Path) -> None:
    core = build(Spec(release="2.6.32", ram=SMALL, pages=(place(2560, Free(order=3)),), free_lists=False))
    _, counters = kept_by_oracle(core, tmp_path / "vmcore", 16)
    assert counters.free == 0


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        (Free(order=3), 16),
        (Cache(), 2),
        (Cache(private=True), 4),
        (Anon(), 8),
        (Thp(order=9), 8),
        (Hugetlb(order=9), 8),
        (LargeFolio(order=4), 2),
    ],
    ids=str,
)
def test_a_block_goes_at_its_level_as_a_whole_and_only_there(kind: Kind, level: int, tmp_path: Path) -> None:
    core = build(Spec(ram=SMALL, pages=(place(2560, kind),)))
    everything = set(core.ram_pfns)
    others = 31 & ~level & (~2 if level == 4 else -1)
    others &= ~4 if level == 2 else -1
    kept, _ = kept_by_oracle(core, tmp_path / "vmcore", level)
    assert everything - kept == set(range(2560, 2560 + (1 << kind.order)))
    kept, _ = kept_by_oracle(core, tmp_path / "vmcore", others)
    assert kept == everything


@pytest.mark.parametrize("style", [ElfStyle(qemu=True), ElfStyle(headers=70_000), ElfStyle(alignment=1)], ids=str)
def test_every_container_holds_the_same_memory(style: ElfStyle, tmp_path: Path) -> None:
    core = filled(Spec(ram=SMALL))
    kept, _ = kept_by_oracle(core, tmp_path / "vmcore", 31, style)
    assert kept == kept_by_declaration(core, 31)


def test_memory_beyond_filesz_is_not_kept_and_in_no_counter(tmp_path: Path) -> None:
    core = build(Spec(ram=(Ram(0, 16 * MIB, 12 * MIB + 0x700),)))
    kept, counters = kept_by_oracle(core, tmp_path / "vmcore", 31)
    assert kept == set(range(12 * MIB // 4096 + 1))
    assert counters.excluded == counters.zero


def test_the_zero_pages_are_those_declared_zero_and_kept(tmp_path: Path) -> None:
    core = filled(Spec(ram=SMALL))
    kept, counters = kept_by_oracle(core, tmp_path / "vmcore", 31)
    assert counters.zero == len(core.zero_pfns() & kept) > 0


def test_a_vmcore_without_vmcoreinfo_keeps_everything(tmp_path: Path) -> None:
    core = filled(Spec(ram=SMALL, vmcoreinfo=False))
    _, bitmap, _ = filter_pages(core.elf(tmp_path / "vmcore"), 0)
    assert sum(byte.bit_count() for byte in bitmap) == len(core.ram_pfns)
