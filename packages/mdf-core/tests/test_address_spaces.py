# SPDX-License-Identifier: GPL-2.0-or-later
"""Direct ranges beside page tables, and what machines have of their own: ppc64 regions, arm64 LPA2, riscv64 Svnapot."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from factory import Ram, Spec, Vmcore, build
from mdf.core.arch import arm64, ppc64, riscv64
from mdf.core.arch.machine import Machine
from mdf.core.arch.paging import Mapping, PageTables, TableLevel, Walker
from mdf.core.arch.space import AddressSpace, Direct
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError, FormatError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

MIB = 1 << 20
VMEMMAP = 0xF000000000000000
NOTHING = PageTables((TableLevel("PTE", 12, 9, -1),), present=1, address=-1 << 12)


def space(direct: tuple[Direct, ...]) -> AddressSpace:
    return AddressSpace(0, 0, 46, 27, Walker(NOTHING, 0, lambda paddr, size: bytes(size)), direct)


def test_of_direct_ranges_that_overlap_the_first_counts_and_the_rest_goes_through_page_tables() -> None:
    chance = random.Random(1)
    ranges = []
    for _ in range(200):
        start = chance.randrange(1 << 16)
        ranges.append(Direct(start, start + chance.randrange(1, 1 << 10), chance.randrange(1 << 40)))
    found = space(tuple(ranges))
    for vaddr in range((1 << 16) + (1 << 11)):
        first = next((part for part in ranges if part.start <= vaddr < part.end), None)
        if first is None:
            with pytest.raises(AddressError, match=f"{vaddr:#x} is not mapped"):
                found.translate(vaddr)
            continue
        mapping = found.translate(vaddr)
        assert mapping.paddr == first.paddr + vaddr - first.start
        last = vaddr + mapping.length - 1
        assert next(part for part in ranges if part.start <= last < part.end) is first


def ppc64_machine(path: Path, release: str, *extra: str) -> Machine:
    """A hash MMU with pages of 4 KiB."""
    spec = Spec(release=release, arch="linear", byteorder="big", machine=21, ram=(Ram(0, 12 * MIB),), kernel_start=0,
                extra=("NUMBER(RADIX_MMU)=0", *extra))  # fmt: skip
    dump = open_dump(build(spec).elf(path))
    assert dump.info is not None
    return ppc64.machine(dump, dump.info)


@pytest.mark.parametrize(
    ("release", "extra", "end"),
    [
        ("5.1.0", (), 0xC008000000000000),
        ("5.2.0", (), 0xC000100000000000),
        ("5.7.0", (), 0xC000100000000000),
        ("5.8.0", (), 0xC0003D0000000000),
        ("6.12.0", ("NUMBER(VMALLOC_START)=13835125125491458048",), 0xC0003D0000000000),
        ("6.12.0", ("NUMBER(VMALLOC_START)=0xc000200000000000",), 0xC000200000000000),
    ],
)
def test_the_direct_map_of_a_hash_mmu_with_small_pages_ends_where_vmalloc_begins(
    release: str, extra: tuple[str, ...], end: int, tmp_path: Path
) -> None:
    machine = ppc64_machine(tmp_path / "vmcore", release, *extra)
    assert machine.translate(end - 8) == Mapping(end - 8 - 0xC000000000000000, 8)
    with pytest.raises(AddressError, match=f"{end:#x} is not mapped"):
        machine.translate(end)


def vmemmap_list(entries: int, *, endless: bool = False) -> Vmcore:
    """A hash MMU whose struct pages are in pages of 64 KiB, as its list of them says, last one first."""
    spec = Spec(release="5.10.0", arch="linear", byteorder="big", machine=21, ram=(Ram(0, 12 * MIB),), kernel_start=0)
    core = build(spec)
    machine, memory = core.machine, core.machine.memory
    head, sizes, index = (machine.symbol(name, 64) for name in ("vmemmap_list", "mmu_psize_defs", "mmu_vmemmap_psize"))
    memory.write_integer(index, 2, 4)
    memory.write_integer(sizes + 2 * 24 + 4, 16, 4)
    following = 0
    first = 0
    for number in range(entries):
        entry = machine.symbol(f"entry{number}", 24)
        first = first or entry
        memory.write_word(entry + 0, following)
        memory.write_word(entry + 8, 0x200000 + (number * 7 % entries) * 0x10000)
        memory.write_word(entry + 16, VMEMMAP + number * 0x10000)
        following = machine.virt(entry)
    if endless:
        memory.write_word(first, following)
    memory.write_word(head, following)
    names = ("vmemmap_list", "mmu_psize_defs", "mmu_vmemmap_psize")
    lines = [f"SYMBOL({name})={core.symbols[name]:x}" for name in names]
    lines += ["SIZE(mmu_psize_def)=24", "OFFSET(mmu_psize_def.shift)=4", "NUMBER(RADIX_MMU)=0"]
    lines += [f"OFFSET(vmemmap_backing.{name})={at}" for name, at in (("list", 0), ("phys", 8), ("virt_addr", 16))]
    return replace(core, vmcoreinfo=core.vmcoreinfo + "\n".join(lines) + "\n")


def test_struct_pages_of_a_hash_mmu_are_where_its_list_says(tmp_path: Path) -> None:
    dump = open_dump(vmemmap_list(5).elf(tmp_path / "vmcore"))
    assert dump.info is not None
    machine = ppc64.machine(dump, dump.info)
    for number in range(5):
        paddr = 0x200000 + (number * 7 % 5) * 0x10000 + 0x123
        assert machine.translate(VMEMMAP + number * 0x10000 + 0x123) == Mapping(paddr, 0x10000 - 0x123)
    with pytest.raises(AddressError, match="0xf000000000050000 is not mapped"):
        machine.translate(VMEMMAP + 5 * 0x10000)


def test_a_list_of_struct_pages_without_end_is_one_error(tmp_path: Path) -> None:
    dump = open_dump(vmemmap_list(3, endless=True).elf(tmp_path / "vmcore"))
    assert dump.info is not None
    with pytest.raises(FormatError, match="vmemmap_list does not end"):
        ppc64.machine(dump, dump.info)


def test_64_kib_of_svnapot_are_one_mapping_and_another_mark_is_none() -> None:
    tables = {0x1000: 0x2000, 0x2000: 0x3000}
    memory = {paddr: bytearray(4096) for paddr in (0x1000, 0x2000, 0x3000)}
    for table, following in tables.items():
        memory[table][:8] = (following >> 2 | 1).to_bytes(8, "little")
    for index in range(16):
        entry = 1 << 63 | (0x8765_0000 >> 12 | 8) << 10 | 0xEF
        memory[0x3000][8 * index : 8 * index + 8] = entry.to_bytes(8, "little")
    reserved = 1 << 63 | (0x8765_0000 >> 12 | 4) << 10 | 0xEF
    memory[0x3000][8 * 16 : 8 * 17] = reserved.to_bytes(8, "little")
    walker = Walker(riscv64._tables(3), 0x1000, lambda paddr, size: bytes(memory[paddr]))
    for vaddr in (0, 0x1234, 0xFFFF):
        assert walker.translate(vaddr) == Mapping(0x8765_0000 + vaddr, 0x10000 - vaddr)
    with pytest.raises(AddressError, match="0x10000 is not mapped"):
        walker.translate(0x10000)


def chain(tables: PageTables, entries: list[int], vaddr: int) -> Walker:
    """A walker of tables of which each has one entry, the one on the way of `vaddr`; table n is at n + 1 MiB."""
    memory = {}
    for number, (level, entry) in enumerate(zip(tables.levels, entries, strict=False)):
        table = bytearray(tables.entry_size << level.bits)
        at = (vaddr >> level.shift & (1 << level.bits) - 1) * 8
        table[at : at + 8] = entry.to_bytes(8, tables.byteorder)
        memory[(number + 1) * MIB] = bytes(table)
    return Walker(tables, MIB, lambda paddr, size: memory[paddr])


@pytest.mark.parametrize(("page_shift", "levels"), [(12, 5), (14, 4)])
def test_lpa2_has_the_two_highest_address_bits_in_bits_8_and_9_of_an_entry(page_shift: int, levels: int) -> None:
    tables = arm64._tables(page_shift, 52, arm64._address(page_shift, 52, lpa2=True), lpa2=True, byteorder="little")
    assert len(tables.levels) == levels
    vaddr = 0xFFF2_3456_789A_BCDE
    down = [(number + 2) * MIB | 3 for number in range(levels - 1)]
    page = 0x0001_2345_6789_ABCD >> page_shift << page_shift
    offset = vaddr & (1 << page_shift) - 1
    for high in range(4):
        walker = chain(tables, [*down, page | high << 8 | 0x40_0000_0000_0403], vaddr)
        assert walker.translate(vaddr) == Mapping(high << 50 | page + offset, (1 << page_shift) - offset)
    # A block one level up; an entry of the last level that looks like a block is none.
    size = 1 << 2 * page_shift - 3
    walker = chain(tables, [*down[:-1], (page & -size) | 3 << 8 | 1], vaddr)
    assert walker.translate(vaddr).paddr == 3 << 50 | (page & -size) + vaddr % size
    with pytest.raises(AddressError, match="PTE entry"):
        chain(tables, [*down, page | 1], vaddr).translate(vaddr)


def test_a_radix_entry_of_small_pages_on_ppc64_has_the_address_in_place_whatever_a_hash_mmu_has() -> None:
    info = Vmcoreinfo.parse(b"OSRELEASE=6.12.0\nPAGESIZE=4096\n")
    tables = ppc64._tables(12, info, True, "little")
    assert [(level.shift, level.bits) for level in tables.levels] == [(39, 13), (30, 9), (21, 9), (12, 9)]
    vaddr, down = 0xC008_0123_4567_89AB, [1 << 63 | (number + 2) * MIB | 9 for number in range(3)]
    walker = chain(tables, [*down, 0xC000_0000_1234_5000 | 0x18F], vaddr)
    assert walker.translate(vaddr) == Mapping(0x1234_59AB, 0x1000 - 0x9AB)
    walker = chain(tables, [*down[:-1], 0xC000_0000_1220_0000 | 0x18F], vaddr)
    assert walker.translate(vaddr) == Mapping(0x1220_0000 + (vaddr & 0x1FFFFF), 0x200000 - (vaddr & 0x1FFFFF))
    with pytest.raises(AddressError, match="PTE entry 0x4000000012345000"):
        chain(tables, [*down, 0x4000_0000_1234_5000], vaddr).translate(vaddr)
