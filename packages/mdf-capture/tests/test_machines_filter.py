# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter on machines of other architectures, in the memory models they have, decides as the oracle does."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from captures import DumpFile, counters, dump_of, elf_of
from factory import MIB, ElfStyle, Model, Ram, Spec, build, random_layout
from mdf.capture.elf_writer import pieces
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import ElfDump, open_dump
from mdf.core.messages import Level, Messages
from oracle import filter_pages

LOW = (Ram(0, 1 * MIB), Ram(2 * MIB, 8 * MIB))
ABOVE = tuple(Ram(0x40000000 + ram.start, 0x40000000 + ram.end) for ram in LOW)
WIDE = (Ram(0, 1 * MIB), Ram(2 * MIB, 16 * MIB))


def narrow(arch: str, release: str, model: Model, **options: object) -> Spec:
    """A machine of 32 bits."""
    ram = ABOVE if arch.startswith("arm") else LOW
    spec = Spec(release=release, arch=arch, bits=32, ram=ram, model=model, kernel_start=ram[0].start)
    return replace(spec, **options)  # type: ignore[arg-type]


def wide(arch: str, release: str, model: Model, **options: object) -> Spec:
    """A machine of 64 bits."""
    spec = Spec(release=release, arch=arch, ram=WIDE, model=model, kernel_start=0)
    return replace(spec, **options)  # type: ignore[arg-type]


# Struct pages that page tables map (`mem_map_leaf`): vmemmap, i386's remapped nodes, arm's in vmalloc.
MACHINES = {
    "i386, FLATMEM": narrow("i386", "6.1.0", Model.FLATMEM),
    "i386, DISCONTIGMEM, remapped": narrow("i386", "2.6.32", Model.DISCONTIGMEM, mem_map_leaf=12),
    "i386, SPARSEMEM": narrow("i386", "6.1.0", Model.SPARSEMEM),
    "i386-pae, FLATMEM": narrow("i386-pae", "6.1.0", Model.FLATMEM),
    "i386-pae, DISCONTIGMEM, remapped": narrow("i386-pae", "3.10.0", Model.DISCONTIGMEM, mem_map_leaf=21),
    "i386-pae, SPARSEMEM": narrow("i386-pae", "4.4.0", Model.SPARSEMEM),
    "arm, FLATMEM": narrow("arm", "6.1.0", Model.FLATMEM),
    "arm, FLATMEM in vmalloc": narrow("arm", "3.10.0", Model.FLATMEM, mem_map_leaf=12),
    "arm, DISCONTIGMEM": narrow("arm", "2.6.32", Model.DISCONTIGMEM),
    "arm, SPARSEMEM": narrow("arm", "4.10.0", Model.SPARSEMEM, max_physmem_bits=32),
    "arm, memory that begins inside a section": narrow(
        "arm", "4.10.0", Model.SPARSEMEM, max_physmem_bits=32, ram=(Ram(0x40200000, 0x40A00000),)
    ),
    "arm, big endian, FLATMEM": narrow("arm", "4.10.0", Model.FLATMEM, byteorder="big"),
    "arm-lpae, FLATMEM": narrow("arm-lpae", "6.12.0", Model.FLATMEM),
    "arm-lpae, SPARSEMEM_EXTREME": narrow("arm-lpae", "6.12.0", Model.SPARSEMEM_EXTREME),
    "ppc, FLATMEM": narrow("ppc", "5.10.0", Model.FLATMEM, byteorder="big"),
    "loongarch64, vmemmap": wide("loongarch64", "7.2.0", Model.SPARSEMEM_EXTREME, page_shift=14, mem_map_leaf=14),
    "loongarch64, FLATMEM": wide("loongarch64", "6.1.0", Model.FLATMEM, page_shift=16),
    "mips64, SPARSEMEM_EXTREME": wide("mips64", "5.10.0", Model.SPARSEMEM_EXTREME, page_shift=14),
    "mips64, big endian, FLATMEM": wide("mips64", "4.19.0", Model.FLATMEM, byteorder="big"),
    "sparc64, vmemmap": wide(
        "sparc64", "4.19.0", Model.SPARSEMEM, page_shift=13, byteorder="big", mem_map_leaf=23, section_size_bits=24
    ),
    "sparc64, 3 levels": wide("sparc64", "3.8.0", Model.SPARSEMEM_EXTREME, page_shift=13, byteorder="big"),
    "ia64, vmem_map": wide("ia64", "3.10.0", Model.DISCONTIGMEM, page_shift=14, mem_map_leaf=14),
    "arm64, 4 KiB, vmemmap": wide(
        "arm64-48", "6.12.0", Model.SPARSEMEM_EXTREME, mem_map_leaf=21, section_size_bits=24, max_physmem_bits=36
    ),
    "arm64, 64 KiB, SPARSEMEM_EXTREME": wide(
        "arm64-48", "6.1.0", Model.SPARSEMEM_EXTREME, page_shift=16, section_size_bits=24, max_physmem_bits=36
    ),
    "riscv64, FLATMEM": wide("riscv64-39", "5.10.0", Model.FLATMEM),
    "riscv64, vmemmap": wide(
        "riscv64-57", "6.12.0", Model.SPARSEMEM_EXTREME, mem_map_leaf=21, section_size_bits=24, max_physmem_bits=36
    ),
    "s390x, vmemmap": wide(
        "s390x-4",
        "6.1.0",
        Model.SPARSEMEM_EXTREME,
        byteorder="big",
        mem_map_leaf=20,
        section_size_bits=24,
        max_physmem_bits=36,
        kernel_start=2 * MIB,
    ),
    "s390x, moved": wide(
        "s390x-moved", "6.12.0", Model.SPARSEMEM_EXTREME, byteorder="big", section_size_bits=24, max_physmem_bits=36
    ),
    "ppc64le, radix": wide(
        "ppc64-radix",
        "6.12.0",
        Model.SPARSEMEM_EXTREME,
        page_shift=16,
        mem_map_leaf=16,
        section_size_bits=24,
        max_physmem_bits=36,
    ),
    "ppc64, hash": wide(
        "ppc64-hash", "5.10.0", Model.SPARSEMEM_EXTREME, byteorder="big", section_size_bits=24, max_physmem_bits=36
    ),
    "ia64, SPARSEMEM_EXTREME": wide("ia64", "3.10.0", Model.SPARSEMEM_EXTREME, page_shift=16),
}


@pytest.mark.parametrize("name", MACHINES)
def test_every_level_leaves_out_what_the_oracle_does(name: str, tmp_path: Path) -> None:
    core = build(random_layout(MACHINES[name], seed=11))
    vmcore = elf_of(core, tmp_path)
    layout = "64" if core.bits == 64 else "packed" if core.spec.e_machine == 3 else "padded"
    order = "<" if core.byteorder == "little" else ">"
    for level in range(32):
        report = dump_of(core, vmcore, tmp_path / "dump", level)
        bitmap1, bitmap2, expected = filter_pages(vmcore, level)
        dump = DumpFile(tmp_path / "dump", layout, order)
        assert (dump.bitmap1, dump.bitmap2) == (bitmap1, bitmap2), level
        assert counters(report) == counters(expected), level
    first = core.spec.first_pfn
    assert {pfn + first for pfn in dump.pfns} == set(core.ram_pfns) - core.excluded(31)
    for pfn in dump.pfns[:: len(dump.pfns) // 30]:
        assert dump.page(pfn) == core.page(pfn + first)
    again = dump_of(core, tmp_path / "dump", tmp_path / "again", 31)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "dump").read_bytes()
    assert again.written == report.written


def test_flatmem_of_riscv64_begins_where_memory_does(tmp_path: Path) -> None:
    high = 4 * MIB
    core = build(random_layout(wide("riscv64-39", "5.10.0", Model.FLATMEM, ram=(Ram(high, 16 * MIB),)), seed=7))
    expected = dump_of(core, elf_of(core, tmp_path), tmp_path / "expected", 31)
    # The same memory of a kernel that knows none below `high`: neither mem_map nor the direct map have it.
    base = int(core.vmcoreinfo.split("NUMBER(PAGE_OFFSET)=")[1].split()[0], 16)
    text = core.vmcoreinfo.replace("NUMBER(phys_ram_base)=0x0", f"NUMBER(phys_ram_base)={high:#x}")
    text = text.replace(f"NUMBER(PAGE_OFFSET)={base:#x}", f"NUMBER(PAGE_OFFSET)={base + high:#x}")
    core.machine.memory.write_word(
        core.machine.image_paddr + core.symbols["mem_map"] - core.machine.image,
        core.pieces[0].address + high // core.page_size * core.machine.page.size,
    )
    vmcore = replace(core, vmcoreinfo=text).elf(tmp_path / "high")
    report = dump_of(core, vmcore, tmp_path / "dump", 31)
    assert counters(report) == counters(expected)
    assert DumpFile(tmp_path / "dump", "64").bitmap2 == DumpFile(tmp_path / "expected", "64").bitmap2


@pytest.mark.parametrize("name", ["i386, FLATMEM", "i386-pae, SPARSEMEM", "arm, FLATMEM", "arm-lpae, FLATMEM"])
def test_an_elf_dump_has_what_the_level_keeps(name: str, tmp_path: Path) -> None:
    core = build(random_layout(MACHINES[name], seed=3))
    vmcore = elf_of(core, tmp_path)
    dump_of(core, vmcore, tmp_path / "dump.elf", 31, elf=True)
    dump_of(core, tmp_path / "dump.elf", tmp_path / "dump", 0)
    kept = DumpFile(tmp_path / "dump", "packed" if core.spec.e_machine == 3 else "padded")
    first = core.spec.first_pfn
    must = set(core.ram_pfns) - core.excluded(31)
    assert {pfn + first for pfn in kept.pfns} >= must - core.zero_pfns()
    for pfn in list(must - core.zero_pfns())[::40]:
        assert kept.page(pfn - first) == core.page(pfn)


def test_memory_above_the_only_node_has_no_struct_pages_and_no_place_in_the_dump(tmp_path: Path) -> None:
    """QEMU's dump of a PC has a segment of the firmware's flash below 4 GiB."""
    core = build(random_layout(MACHINES["i386, FLATMEM"], seed=5))
    flash = replace(core.spec, ram=(*core.spec.ram, Ram(0xFFFC0000, 0x100000000)))
    vmcore = replace(core, spec=flash).elf(tmp_path / "vmcore", ElfStyle(qemu=True, bits=64))
    report = dump_of(core, vmcore, tmp_path / "dump", 31)
    assert report.total == core.max_mapnr
    assert set(DumpFile(tmp_path / "dump", "packed").pfns) == set(core.ram_pfns) - core.excluded(31)


@pytest.mark.parametrize("name", ["i386-pae, FLATMEM", "loongarch64, vmemmap", "ppc, FLATMEM"])
def test_vtop_prints_every_entry_of_the_walk(name: str, tmp_path: Path) -> None:
    core = build(MACHINES[name])
    form, tables = core.spec.form, core.machine.formed
    assert form is not None
    assert tables is not None
    small = form.leaves[-1]
    vaddr = form.vmalloc + (9 << form.shifts[-2])
    tables.map(vaddr, 0x77 << small, 1 << small, small)
    entries = tables.walk(vaddr)
    out = StringIO()
    vmcore = elf_of(core, tmp_path)
    dump_of(core, vmcore, tmp_path / "dump", 1, Messages(Level.COMMON, stdout=out), vtop=vaddr + 0x40)
    text = out.getvalue()
    assert len(entries) == len(form.shifts)
    for slot, entry in entries:
        assert f": {slot:16x} => {entry:16x}\n" in text
    assert f"{vaddr + 0x40:16x}  {(0x77 << small) + 0x40:x}\n" in text


def test_virtual_addresses_of_i386_pieces_stop_where_low_memory_must_end(tmp_path: Path) -> None:
    ram = (Ram(0, 8 * MIB), Ram(0x37C00000, 0x38C00000))
    core = build(Spec(release="6.1.0", arch="linear", bits=32, ram=ram, model=Model.SPARSEMEM_EXTREME, kernel_start=0))
    with open_dump(elf_of(core, tmp_path)) as dump:
        assert isinstance(dump, ElfDump)
        keep = Bitmap(dump.max_mapnr)
        for paddr in (0x37C00000, 0x37E00000, 0x38000000, 0x38400000):
            keep.set_range(paddr >> 12, (paddr >> 12) + 1)
        high = [piece.load for piece in pieces(dump, keep) if piece.load.paddr >= 0x37C00000]
    assert [(load.paddr, load.vaddr) for load in high] == [
        (0x37C00000, 0xF7C00000),
        (0x37E00000, 0xF7E00000),
        (0x38000000, 0xF7E00000),
        (0x38400000, 0xF7E00000),
    ]
