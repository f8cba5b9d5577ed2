# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel addresses and memory maps are what an independent, plain walk finds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from corpus import corpus_items, vmcore
from factory import Lookup, Model, Online, Ram, Spec, build
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError, MdfError
from mdf.core.kernel import Kernel, mem_map
from oracle.image import open_image

MIB = 1 << 20
RAM = (Ram(0x1000, 0x9F000), Ram(MIB, 14 * MIB), Ram(16 * MIB, 24 * MIB))
SPECS: dict[str, dict[str, Any]] = {
    "four levels, 1 GiB": {"direct_leaf": "1G"},
    "four levels, 2 MiB": {"direct_leaf": "2M"},
    "four levels, 4 KiB": {"direct_leaf": "4K", "vmemmap": "4K"},
    "five levels": {"levels": 5},
    "KASLR": {"kaslr": 0x1F000000},
    "encrypted memory": {"sme_mask": 1 << 47},
}


def made(**changes: Any) -> Any:
    return build(Spec(**{"release": "6.1.0", "ram": RAM, **changes}))


def compare(path: Path, starts: list[int], count: int, reach: int) -> int:
    """Translates addresses at and around `starts` with both walkers; how many were mapped."""
    image, chance, mapped = open_image(path), random.Random(7), 0
    with open_dump(path) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        for _ in range(count):
            vaddr = (chance.choice(starts) + chance.randrange(-reach, reach)) & (1 << 64) - 1
            try:
                expected = image.translate(vaddr)
            except (LookupError, ValueError):
                with pytest.raises(AddressError):
                    kernel.machine.translate(vaddr)
                continue
            assert kernel.machine.physical(kernel.machine.translate(vaddr).paddr) == expected, hex(vaddr)
            mapped += 1
    return mapped


@pytest.mark.parametrize("name", SPECS)
def test_random_addresses_agree_with_the_plain_walk(name: str, tmp_path: Path) -> None:
    core = made(**SPECS[name])
    starts = [address for address in core.symbols.values() if address >> 63] + [piece.address for piece in core.pieces]
    assert compare(core.elf(tmp_path / "vmcore"), [start for start in starts if start], 5000, 1 << 21) > 1000


@pytest.mark.parametrize("item", corpus_items("x86_64"))
def test_random_addresses_of_real_kernels_agree_with_the_plain_walk(item: str) -> None:
    with open_dump(vmcore(item)) as dump:
        starts = [segment.vaddr for segment in dump.segments]
        assert dump.info is not None
        starts += [piece.address for piece in mem_map(Kernel(dump, dump.info), dump.max_mapnr)]
    assert compare(vmcore(item), starts, 20000, 1 << 28) > 2000


MODELS: dict[str, dict[str, Any]] = {
    "FLATMEM": {"model": Model.FLATMEM},
    "DISCONTIGMEM by node_data": {"model": Model.DISCONTIGMEM, "release": "2.6.32"},
    "DISCONTIGMEM by pgdat_list": {"model": Model.DISCONTIGMEM, "release": "2.6.24", "lookup": Lookup.PGDAT_LIST},
    "DISCONTIGMEM by node_states": {"model": Model.DISCONTIGMEM, "release": "2.6.32", "online": Online.NODE_STATES},
    "SPARSEMEM": {"model": Model.SPARSEMEM, "section_size_bits": 22, "max_physmem_bits": 36},
    "SPARSEMEM_EXTREME": {"section_size_bits": 22},
    "SPARSEMEM_EXTREME, pointer": {"section_size_bits": 22, "root_pointer": True},
    "SPARSEMEM_EXTREME without vmemmap": {"section_size_bits": 22, "vmemmap": None},
}


@pytest.mark.parametrize("name", MODELS)
def test_memory_map_of_every_model_is_where_the_struct_pages_were_put(name: str, tmp_path: Path) -> None:
    core = made(**MODELS[name])
    with open_dump(core.elf(tmp_path / "vmcore")) as dump:
        assert dump.info is not None
        kernel, size = Kernel(dump, dump.info), dump.info.size("page") or 0
        found = {
            pfn: piece.address + (pfn - piece.pfn_start) * size
            for piece in mem_map(kernel, dump.max_mapnr)
            for pfn in range(piece.pfn_start, piece.pfn_end)
        }
    expected = {
        pfn: piece.address + (pfn - piece.pfn_start) * size
        for piece in core.pieces
        if piece.address
        for pfn in range(piece.pfn_start, min(piece.pfn_end, core.max_mapnr))
    }
    assert found == expected


def test_reads_cross_pages_that_are_not_contiguous_in_memory(tmp_path: Path) -> None:
    core = made(direct_leaf="4K", vmemmap="4K")
    piece = next(piece for piece in core.pieces if piece.address)
    path = core.elf(tmp_path / "vmcore")
    image = open_image(path)
    with open_dump(path) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        assert kernel.read(piece.address + 100, 20000) == image.read(piece.address + 100, 20000)
        assert str(kernel.release) == "6.1.0"


@pytest.mark.parametrize("key", ["SYMBOL(init_uts_ns)", "SYMBOL(mem_section)", "SIZE(page)", "OSRELEASE"])
def test_a_kernel_that_does_not_export_what_is_needed_gives_a_clear_error(key: str, tmp_path: Path) -> None:
    core = made(without=(key,))
    with open_dump(core.elf(tmp_path / "vmcore")) as dump:
        assert dump.info is not None
        with pytest.raises(MdfError) as caught:
            mem_map(Kernel(dump, dump.info), dump.max_mapnr)
    assert str(caught.value)


def test_a_machine_that_is_not_known_is_named_with_those_that_are(tmp_path: Path) -> None:
    core = made(arch="linear", machine=2)
    with open_dump(core.elf(tmp_path / "vmcore")) as dump:
        assert dump.info is not None
        with pytest.raises(MdfError, match="'sparc' are not supported") as caught:
            Kernel(dump, dump.info)
    assert "x86_64" in (caught.value.hint or "")
