# SPDX-License-Identifier: GPL-2.0-or-later
"""The page-table walk: leaves of every size, masks, byte orders, and what is not mapped."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from factory import MIB, Ram, Spec, build
from mdf.core.arch.paging import Mapping, PageTables, Step, TableLevel, Walker
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError
from mdf.core.formats.elf import ByteOrder
from mdf.core.kernel import Kernel

PRESENT, HUGE = 1, 1 << 7
FOUR = (
    TableLevel("PGD", 39, 9),
    TableLevel("PUD", 30, 9, HUGE),
    TableLevel("PMD", 21, 9, HUGE),
    TableLevel("PTE", 12, 9, -1),
)
FIVE = (TableLevel("PGD", 48, 9), TableLevel("P4D", 39, 9), *FOUR[1:])
# Other machines' shapes: 3 levels of 16 KiB pages; 2 levels of 32-bit entries.
THREE = (TableLevel("PGD", 36, 11, HUGE), TableLevel("PMD", 25, 11, HUGE), TableLevel("PTE", 14, 11, -1))
TWO = (TableLevel("PGD", 22, 10, HUGE), TableLevel("PTE", 12, 10, -1))
ADDRESS = (1 << 52) - (1 << 12)


@dataclass
class Memory:
    """Physical memory in which tables are written, and what each mapped page must become."""

    levels: tuple[TableLevel, ...]
    byteorder: ByteOrder
    entry_size: int
    secret: int = 0
    tables: dict[int, bytearray] = field(default_factory=dict)
    pages: list[tuple[int, int, int]] = field(default_factory=list)
    reads: int = 0

    ROOT = 0x10000

    def table(self, paddr: int, level: TableLevel) -> bytearray:
        return self.tables.setdefault(paddr, bytearray(self.entry_size << level.bits))

    def put(self, table: bytearray, index: int, entry: int) -> None:
        at = index * self.entry_size
        table[at : at + self.entry_size] = entry.to_bytes(self.entry_size, self.byteorder)

    def get(self, table: bytearray, index: int) -> int:
        at = index * self.entry_size
        return int.from_bytes(table[at : at + self.entry_size], self.byteorder)

    def map(self, vaddr: int, paddr: int, depth: int) -> None:
        """Maps the page of level `depth` around `vaddr`, unless it is mapped otherwise already."""
        where = self.ROOT
        for number, level in enumerate(self.levels):
            table, index = self.table(where, level), vaddr >> level.shift & (1 << level.bits) - 1
            entry, size = self.get(table, index), 1 << level.shift
            if number == depth:
                if not entry:
                    # Between the flags and the address of a large page, bit 12 is one more flag.
                    leaf = HUGE | 1 << 12 if level.leaf != -1 else 0
                    self.put(table, index, paddr & -size | self.secret | leaf | PRESENT)
                    self.pages.append((vaddr & -size, paddr & -size, size))
                return
            if entry & HUGE:
                return
            if not entry:
                entry = (self.ROOT + (len(self.tables) + 1) * 0x4000) | self.secret | PRESENT
                self.put(table, index, entry)
            where = entry & ~self.secret & ~(PRESENT | HUGE)

    def read(self, paddr: int, size: int) -> bytes:
        self.reads += 1
        if paddr not in self.tables:
            raise AddressError(f"{paddr:#x} is not there")
        assert len(self.tables[paddr]) == size
        return bytes(self.tables[paddr])

    def walker(self) -> Walker:
        address = (ADDRESS if self.entry_size == 8 else 0xFFFFF000) & ~self.secret
        tables = PageTables(self.levels, PRESENT, address, self.byteorder, self.entry_size)
        return Walker(tables, self.ROOT, self.read)


SHAPES = {
    "four levels": Memory(FOUR, "little", 8),
    "five levels": Memory(FIVE, "little", 8),
    "encrypted": Memory(FOUR, "little", 8, secret=1 << 47),
    "encrypted, five levels": Memory(FIVE, "little", 8, secret=1 << 51),
    "16 KiB pages, big endian": Memory(THREE, "big", 8),
    "32-bit entries": Memory(TWO, "big", 4),
}


@pytest.mark.parametrize("name", SHAPES)
def test_random_tables_map_random_addresses_to_where_they_were_mapped(name: str) -> None:
    shape, chance = SHAPES[name], random.Random(name)
    memory = Memory(shape.levels, shape.byteorder, shape.entry_size, shape.secret)
    top = shape.levels[0].shift + shape.levels[0].bits
    leaves = [depth for depth, level in enumerate(shape.levels) if level.leaf]
    paddr_bits = 32 if shape.entry_size == 4 else 46
    for _ in range(300):
        near = chance.choice(memory.pages)[0] if memory.pages and chance.random() < 0.7 else chance.randrange(1 << top)
        vaddr = (near + chance.randrange(1 << 24)) % (1 << top)
        memory.map(vaddr, chance.randrange(1 << paddr_bits), chance.choice(leaves))
    assert {size for _, _, size in memory.pages} == {1 << shape.levels[depth].shift for depth in leaves}
    walker = memory.walker()
    for _ in range(10_000):
        start, paddr, size = chance.choice(memory.pages)
        offset = chance.randrange(size)
        # The bits above those of the top table play no part.
        vaddr = start + offset | (0 if chance.random() < 0.5 else -1 << top & (1 << 64) - 1)
        assert walker.translate(vaddr) == Mapping(paddr + offset, size - offset), hex(vaddr)
    assert walker.hits + walker.misses >= 10_000
    assert walker.misses == memory.reads
    for _ in range(2000):
        vaddr = chance.randrange(1 << top)
        mapped = any(start <= vaddr < start + size for start, _, size in memory.pages)
        if mapped:
            walker.translate(vaddr)
        else:
            with pytest.raises(AddressError, match=f"{vaddr:#x} is not mapped"):
                walker.translate(vaddr)


@pytest.mark.parametrize(("depth", "name"), list(enumerate(("PGD", "PUD", "PMD", "PTE"))))
def test_an_entry_that_is_not_present_is_named_with_its_level(depth: int, name: str) -> None:
    memory = Memory(FOUR, "little", 8)
    memory.map(0x1234_5000, 0x7000, 3)
    where = memory.ROOT
    for number, level in enumerate(FOUR):
        table, index = memory.table(where, level), 0x1234_5000 >> level.shift & 511
        entry = memory.get(table, index)
        if number == depth:
            memory.put(table, index, entry & ~PRESENT)
        where = entry & ADDRESS
    with pytest.raises(AddressError, match=rf"0x12345678 is not mapped: {name} entry"):
        memory.walker().translate(0x1234_5678)


def test_a_table_that_is_not_in_the_dump_is_named_with_its_address() -> None:
    memory = Memory(FOUR, "little", 8)
    memory.map(0x1234_5000, 0x7000, 3)
    lost = max(memory.tables)
    del memory.tables[lost]
    with pytest.raises(AddressError, match=rf"0x12345678 is not mapped: no page table at {lost:#x}"):
        memory.walker().translate(0x1234_5678)


def test_tables_that_lead_in_a_circle_end_with_the_levels() -> None:
    memory = Memory(FOUR[:3], "little", 8)
    table = memory.table(memory.ROOT, FOUR[0])
    for index in range(512):
        memory.put(table, index, memory.ROOT | PRESENT)
    with pytest.raises(AddressError, match="no level maps it"):
        memory.walker().translate(0x1234_5678)


def test_a_trace_sees_each_entry_and_where_it_is() -> None:
    memory = Memory(FOUR, "little", 8)
    memory.map(0x4020_0000, 0x60_0000, 2)
    steps: list[Step] = []
    mapping = memory.walker().translate(0x4020_0123, steps.append)
    assert mapping == Mapping(0x60_0123, 0x1F_FEDD)
    assert [step.level for step in steps] == ["PGD", "PUD", "PMD"]
    assert steps[-1].entry == 0x60_0000 | 1 << 12 | HUGE | PRESENT
    assert steps[0].entry_paddr == memory.ROOT
    assert steps[1].entry_paddr == (steps[0].entry & ADDRESS) + 8
    assert steps[2].entry_paddr == (steps[1].entry & ADDRESS) + 8


def test_kept_tables_are_few_and_neighbours_cost_no_reads() -> None:
    memory = Memory(FOUR, "little", 8)
    for number in range(500):
        memory.map(number << 21, number << 12, 3)
    walker = memory.walker()
    for number in range(500):
        walker.translate(number << 21)
    reads = memory.reads
    for offset in range(0, 4096, 64):
        walker.translate((499 << 21) + offset)
    assert memory.reads == reads
    assert len(walker._kept) <= 64


RAM = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB))


@pytest.mark.parametrize(
    ("release", "phys_base"), [("6.1.0", "exported"), ("4.9.0", "of the segment"), ("2.6.32", "of the segment")]
)
def test_phys_base_is_exported_or_that_of_the_kernels_segment(release: str, phys_base: str, tmp_path: Path) -> None:
    core = build(Spec(release=release, ram=RAM, kaslr=0x1200000 if release > "4" else 0))
    assert core.is_exported("NUMBER(phys_base)") == (phys_base == "exported")
    for style in (core.elf(tmp_path / "elf"), core.kdump(tmp_path / "kdump")):
        with open_dump(style) as dump:
            assert dump.info is not None
            kernel = Kernel(dump, dump.info)
            assert kernel.machine.phys_base == core.machine.phys_base
            assert str(kernel.release) == release


def test_the_exported_phys_base_goes_before_a_wrong_one_in_the_header(tmp_path: Path) -> None:
    core = build(Spec(ram=RAM))
    path = core.kdump(tmp_path / "dump")
    data = bytearray(path.read_bytes())
    data[4096:4104] = (0x23068672).to_bytes(8, "little")
    path.write_bytes(data)
    with open_dump(path) as dump:
        assert dump.info is not None
        assert dump.phys_base == 0x23068672
        assert Kernel(dump, dump.info).machine.phys_base == core.machine.phys_base
