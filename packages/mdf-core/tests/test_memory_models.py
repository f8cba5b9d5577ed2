# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory models and nodes of machines without page tables: every word size, byte order, lookup and map of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from factory import MIB, Lookup, Model, Online, Ram, Spec, Vmcore, build
from linear import Linear
from mdf.core.arch import Architecture
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError, FormatError, MdfError, MissingInfoError
from mdf.core.kernel import Kernel, mem_map
from mdf.core.kernel.nodes import online_nodes, pgdat_addresses

RAM = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 7 * MIB), Ram(9 * MIB, 14 * MIB))
NODES = ((0, 0x700), (0x900, 0xE00))


@contextmanager
def kernel_of(core: Vmcore, path: Path) -> Iterator[Kernel]:
    """The kernel of a machine with page tables, or of a linear one."""
    spec = core.spec
    linear = Linear(core.machine.direct, spec.bits, spec.physmem_bits, spec.section_bits)
    with open_dump(core.elf(path)) as dump:
        assert dump.info is not None
        if spec.arch == "x86_64":
            yield Kernel(dump, dump.info)
        else:
            machines = {dump.machine: Architecture(lambda dump, info: linear, lambda dump, info: 0)}
            yield Kernel(dump, dump.info, machines)


def page_addresses(core: Vmcore, kernel: Kernel) -> tuple[dict[int, int], dict[int, int]]:
    """The address of each struct page: as found, and where the factory put it."""
    size = core.machine.page.size
    top = min(kernel.dump.max_mapnr, core.top_pfn)
    found = {
        pfn: piece.address + (pfn - piece.pfn_start) * size
        for piece in mem_map(kernel, top)
        for pfn in range(piece.pfn_start, piece.pfn_end)
    }
    made = {
        pfn: piece.address + (pfn - piece.pfn_start) * size
        for piece in core.pieces
        for pfn in range(piece.pfn_start, min(piece.pfn_end, top))
    }
    return found, made


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("model", Model, ids=lambda model: model.name)
def test_every_model_of_every_word_size_and_byte_order(
    model: Model, bits: Literal[32, 64], byteorder: Literal["little", "big"], tmp_path: Path
) -> None:
    release = "2.6.32" if model is Model.DISCONTIGMEM else "3.10.0"
    core = build(Spec(release=release, arch="linear", bits=bits, byteorder=byteorder, model=model, ram=RAM))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        found, made = page_addresses(core, kernel)
        assert found == made
        assert str(kernel.release) == release
        assert kernel.utsname[:6] == b"Linux\x00"
        assert kernel.utsname[65:73] == b"factory\x00"
        assert len(kernel.utsname) == 390


@pytest.mark.parametrize("online", Online, ids=lambda online: online.name)
@pytest.mark.parametrize("lookup", [Lookup.NODE_DATA, Lookup.PGDAT_LIST, Lookup.PGDAT_ARRAY], ids=lambda at: at.name)
def test_nodes_are_counted_and_found_by_each_way_kernels_had(lookup: Lookup, online: Online, tmp_path: Path) -> None:
    spec = Spec(release="2.6.32", ram=RAM, model=Model.DISCONTIGMEM, nodes=NODES, lookup=lookup, online=online)
    core = build(spec)
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        count = online_nodes(kernel)
        assert count == (1 if online is Online.NOWHERE else 2)
        found, made = page_addresses(core, kernel)
        known = range(NODES[0][0], NODES[count - 1][1])
        assert found == {pfn: address for pfn, address in made.items() if pfn in known}


def test_the_only_node_may_be_contig_page_data(tmp_path: Path) -> None:
    core = build(Spec(release="2.6.32", ram=RAM, model=Model.FLATMEM))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        assert list(pgdat_addresses(kernel, 1)) == [core.symbols["contig_page_data"]]
        with pytest.raises(MissingInfoError, match="node 1"):
            list(pgdat_addresses(kernel, 2))


def test_nodes_that_overlap_are_an_error(tmp_path: Path) -> None:
    core = build(Spec(release="2.6.32", ram=RAM, model=Model.DISCONTIGMEM, nodes=((0, 0x700), (0x6FF, 0xE00))))
    with kernel_of(core, tmp_path / "vmcore") as kernel, pytest.raises(FormatError, match="overlap at page 0x6ff"):
        mem_map(kernel, kernel.dump.max_mapnr)


def test_a_list_of_nodes_that_ends_too_early_is_an_error(tmp_path: Path) -> None:
    spec = Spec(release="2.6.32", ram=RAM, model=Model.DISCONTIGMEM, nodes=NODES, lookup=Lookup.PGDAT_LIST)
    with kernel_of(build(spec), tmp_path / "vmcore") as kernel:
        assert len({*pgdat_addresses(kernel, 2)}) == 2
        with pytest.raises(FormatError, match="Can't get the pglist_data of node 2"):
            list(pgdat_addresses(kernel, 3))


def test_more_than_any_table_has_is_not_read(tmp_path: Path) -> None:
    impossible = pytest.raises(FormatError, match="Impossible size: 0x4000001 bytes at")
    with kernel_of(build(Spec(ram=RAM)), tmp_path / "vmcore") as kernel, impossible:
        kernel.read(kernel.info.symbol("_stext") or 0, (64 << 20) + 1)


def test_an_impossible_map_of_nodes_is_an_error(tmp_path: Path) -> None:
    spec = Spec(release="2.6.32", ram=RAM, model=Model.DISCONTIGMEM, without=("SIZE(nodemask_t)",))
    for size in ("4096", "99999999999"):
        core = build(replace(spec, extra=(f"SIZE(nodemask_t)={size}",)))
        with kernel_of(core, tmp_path / size) as kernel, pytest.raises(FormatError, match=f"nodemask_t: {size}"):
            online_nodes(kernel)


@pytest.mark.parametrize("root_pointer", [False, True])
@pytest.mark.parametrize("release", ["4.14.0", "4.15.0", "6.1.0"])
def test_the_root_of_extreme_sections_is_an_array_or_since_4_15_a_pointer_to_it(
    release: str, root_pointer: bool, tmp_path: Path
) -> None:
    spec = Spec(release=release, ram=RAM, section_size_bits=22, max_physmem_bits=36, root_pointer=root_pointer)
    core = build(spec)
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        found, made = page_addresses(core, kernel)
        assert found == made


@pytest.mark.parametrize(
    ("size", "model"), [(16, Model.SPARSEMEM_EXTREME), (32, Model.SPARSEMEM_EXTREME), (24, Model.SPARSEMEM)]
)
def test_sections_have_the_size_that_the_kernel_exports(size: int, model: Model, tmp_path: Path) -> None:
    core = build(Spec(ram=RAM, model=model, section_size_bits=22, sizeof_mem_section=size))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        found, made = page_addresses(core, kernel)
        assert found == made


def test_sections_of_memory_that_is_not_there_have_no_struct_pages(tmp_path: Path) -> None:
    core = build(Spec(ram=(Ram(0x1000, 0x9F000), Ram(1 * MIB, 8 * MIB), Ram(40 * MIB, 48 * MIB)), section_size_bits=22))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        found, made = page_addresses(core, kernel)
        assert found == made
        assert 20 * MIB // 4096 not in found


def test_a_map_below_its_biased_address_wraps_as_the_kernels_arithmetic_does(tmp_path: Path) -> None:
    ram = (Ram(1 * MIB, 7 * MIB), Ram(1 << 30, (1 << 30) + 4 * MIB))
    core = build(Spec(arch="linear", byteorder="big", machine=22, release="3.10.0", ram=ram))
    assert any(piece.address < piece.pfn_start * core.machine.page.size for piece in core.pieces)
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        found, made = page_addresses(core, kernel)
        assert found == made


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NUMBER(SECTION_SIZE_BITS)", "12"),
        ("NUMBER(SECTION_SIZE_BITS)", "63"),
        ("NUMBER(SECTION_SIZE_BITS)", "13"),
        ("NUMBER(MAX_PHYSMEM_BITS)", "65"),
        ("NUMBER(MAX_PHYSMEM_BITS)", "22"),
        ("SIZE(mem_section)", "0"),
        ("SIZE(mem_section)", "4097"),
        ("SIZE(mem_section)", "4096"),
        ("OFFSET(mem_section.section_mem_map)", "4096"),
        ("SYMBOL(mem_section)", "ffff888000000000"),
        ("SYMBOL(mem_section)", "10"),
    ],
)
def test_a_table_of_sections_that_makes_no_sense_is_an_error(key: str, value: str, tmp_path: Path) -> None:
    core = build(Spec(ram=RAM, section_size_bits=22, without=(key,), extra=(f"{key}={value}",)))
    with kernel_of(core, tmp_path / "vmcore") as kernel, pytest.raises(MdfError, match=r"sections?|mapped|not in"):
        mem_map(kernel, kernel.dump.max_mapnr)


def test_a_dump_without_the_memory_of_the_section_table_names_the_address_and_what_still_works(tmp_path: Path) -> None:
    spec = Spec(arch="linear", ram=RAM, section_size_bits=22, without=("SYMBOL(mem_section)",))
    missing = 32 * MIB
    core = build(replace(spec, extra=(f"SYMBOL(mem_section)={build(spec).machine.virt(missing):x}",)))
    with (
        kernel_of(core, tmp_path / "vmcore") as kernel,
        pytest.raises(FormatError, match=f"Physical address {missing:#x} is not in") as caught,
    ):
        mem_map(kernel, kernel.dump.max_mapnr)
    assert "-d 1" in (caught.value.hint or "")


def test_an_absurd_number_of_sections_is_refused_before_it_is_read(tmp_path: Path) -> None:
    core = build(Spec(ram=RAM, model=Model.SPARSEMEM, section_size_bits=22))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        for max_mapnr in (1 << 40, 1 << 34):
            with pytest.raises(FormatError, match="Impossible number of memory sections"):
                mem_map(kernel, max_mapnr)
    core = build(replace(core.spec, without=("SIZE(mem_section)",), extra=("SIZE(mem_section)=4096",)))
    with kernel_of(core, tmp_path / "large") as kernel, pytest.raises(FormatError, match="1048576 of 4096 bytes"):
        mem_map(kernel, 1 << 30)


def test_a_kernel_without_the_keys_of_a_model_is_told_so(tmp_path: Path) -> None:
    for key in ("SIZE(page)", "OFFSET(page.flags)", "OFFSET(page._refcount)", "OFFSET(page.mapping)"):
        core = build(Spec(ram=RAM, without=(key,)))
        with (
            kernel_of(core, tmp_path / "vmcore") as kernel,
            pytest.raises(MissingInfoError, match="Can't distinguish the memory type"),
        ):
            mem_map(kernel, kernel.dump.max_mapnr)


def test_a_null_mem_map_is_an_error(tmp_path: Path) -> None:
    core = build(Spec(release="2.6.32", ram=RAM, model=Model.FLATMEM, without=("SYMBOL(mem_map)",)))
    zeros = core.symbols["mem_map"] + 64
    core = build(replace(core.spec, extra=(f"SYMBOL(mem_map)={zeros:x}",)))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        if kernel.read_pointer(zeros):
            pytest.fail("the test needs zeros there")
        with pytest.raises(FormatError, match="null pointer"):
            mem_map(kernel, kernel.dump.max_mapnr)


@pytest.mark.parametrize("release", ["2.6.18", "2.6.32", "5.10.0", "6.16.0"])
def test_utsname_is_where_each_kernel_has_it(release: str, tmp_path: Path) -> None:
    core = build(Spec(release=release, ram=RAM))
    assert core.is_exported("SYMBOL(system_utsname)") == (release == "2.6.18")
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        fields = [kernel.utsname[at : at + 65].split(b"\x00")[0] for at in range(0, 390, 65)]
        assert fields[0] == b"Linux"
        assert fields[2] == release.encode()
        assert fields[4] == b"x86_64"


def test_what_should_be_the_release_but_is_not_is_shown_with_a_hint(tmp_path: Path) -> None:
    core = build(Spec(ram=RAM, without=("OFFSET(uts_namespace.name)",), extra=("OFFSET(uts_namespace.name)=1024",)))
    with pytest.raises(FormatError, match="kernel's release in memory") as caught, kernel_of(core, tmp_path / "vmcore"):
        pass
    assert "crashed kernel" in (caught.value.hint or "")


def test_pointers_are_read_in_the_kernels_word_size_and_byte_order(tmp_path: Path) -> None:
    core = build(Spec(arch="linear", bits=32, byteorder="big", model=Model.FLATMEM, release="3.10.0", ram=RAM))
    with kernel_of(core, tmp_path / "vmcore") as kernel:
        assert kernel.read_pointer(core.symbols["mem_map"]) == core.pieces[0].address
        assert kernel.read_uint(core.symbols["mem_map"], 2) == core.pieces[0].address >> 16
        assert kernel.is_kernel_address(core.machine.direct)
        assert not kernel.is_kernel_address(core.machine.direct - 1)
        assert not kernel.is_kernel_address(1 << 32)
        with pytest.raises(AddressError):
            kernel.read(core.machine.direct - 8, 4)
