# SPDX-License-Identifier: GPL-2.0-or-later
"""The kdump-compressed format, read back by a second reading of its tables and by the reader of the core."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from captures import Descriptor, DumpFile, dump_of, elf_of
from factory import MIB, Anon, Content, Note, Ram, Spec, Vmcore, build, place, random_layout
from factory.kdump import vmcore_utsname
from mdf.core.dumps import KdumpFile, open_dump
from mdf.core.dumps.codecs import codec_named
from mdf.core.errors import FormatError, MissingCodecError

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB))
LAYOUTS = [
    pytest.param("64", {}, id="x86_64"),
    pytest.param("64", {"arch": "linear"}, id="64-bit little-endian"),
    pytest.param("64", {"arch": "linear", "byteorder": "big"}, id="64-bit big-endian"),
    pytest.param("packed", {"arch": "linear", "bits": 32}, id="i386"),
    pytest.param("padded", {"arch": "linear", "bits": 32, "machine": 20}, id="32-bit little-endian"),
    pytest.param("padded", {"arch": "linear", "bits": 32, "byteorder": "big"}, id="32-bit big-endian"),
]


def _read(core: Vmcore, path: Path, layout: str = "64") -> DumpFile:
    return DumpFile(path, layout, "<" if core.byteorder == "little" else ">")


@pytest.mark.parametrize(("layout", "machine"), LAYOUTS)
def test_every_header_field_is_what_the_format_says(layout: str, machine: dict[str, Any], tmp_path: Path) -> None:
    core = build(Spec(ram=SMALL, cpus=3, crashtime=1_234_567_890, notes=(Note("QEMU", 0, b"\x01" * 5000),), **machine))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 27, compression="zlib")
    dump, notes = _read(core, tmp_path / "dump", layout), core.notes()
    assert dump.data[:8] == b"KDUMP   "
    assert dump.version == 6
    assert dump.utsname == vmcore_utsname(core)
    assert dump.main == {
        "tv_sec": 1_234_567_890,
        "tv_usec": 0,
        "status": 1,
        "block_size": 4096,
        "sub_hdr_size": -(-(dump.sub_size + len(notes)) // 4096),
        "bitmap_blocks": 2,
        "max_mapnr": 3072,
        "total_ram_blocks": 0,
        "device_blocks": 0,
        "written_blocks": 0,
        "current_cpu": 0,
        "nr_cpus": 3,
    }
    note = 4096 + dump.sub_size
    assert dump.sub == {
        "phys_base": core.machine.phys_base % (1 << core.bits),
        "dump_level": 27,
        "split": 0,
        "start_pfn": 0,
        "end_pfn": 0,
        "offset_vmcoreinfo": note + notes.index(core.vmcoreinfo.encode()),
        "size_vmcoreinfo": len(core.vmcoreinfo),
        "offset_note": note,
        "size_note": len(notes),
        "offset_eraseinfo": 0,
        "size_eraseinfo": 0,
        "start_pfn_64": 0,
        "end_pfn_64": 0,
        "max_mapnr_64": 3072,
    }
    assert dump.data[note : note + len(notes)] == notes


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("layout", "machine"), LAYOUTS)
def test_pages_are_read_back_by_the_core_and_by_the_tables(
    layout: str, machine: dict[str, Any], compression: str | None, tmp_path: Path
) -> None:
    core = build(random_layout(Spec(ram=SMALL, **machine), seed=1))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 1, compression=compression)
    dump = _read(core, tmp_path / "dump", layout)
    assert dump.pfns
    with open_dump(tmp_path / "dump") as again:
        assert isinstance(again, KdumpFile)
        assert (again.bits, again.byteorder, again.level) == (core.bits, core.byteorder, 1)
        assert again.machine == core.spec.utsname_machine
        assert again.notes.data == core.notes()
        for pfn in dump.pfns:
            assert dump.page(pfn) == core.page(pfn)
            assert again.read(pfn << 12, 4096) == core.page(pfn)


def test_a_main_header_without_vmcoreinfo_knows_the_segments_only(tmp_path: Path) -> None:
    core = build(Spec(ram=SMALL, vmcoreinfo=False, kaslr=0x4000000))
    for level in (0, 1):
        dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", level)
        dump = DumpFile(tmp_path / "dump")
        assert dump.utsname == bytes(390)
        assert dump.main["tv_sec"] == dump.sub["offset_vmcoreinfo"] == dump.sub["size_vmcoreinfo"] == 0
        assert dump.sub["phys_base"] == core.machine.phys_base % (1 << 64)
        assert set(dump.pfns) == set(core.ram_pfns)


def test_zero_pages_share_the_first_page_of_the_data(tmp_path: Path) -> None:
    core = build(random_layout(Spec(ram=SMALL), seed=1))
    report = dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 1)
    dump = DumpFile(tmp_path / "dump")
    zero = core.zero_pfns() & set(dump.pfns)
    assert report.zero == len(zero) > 100
    shared = Descriptor(dump.data_offset, 4096, 0, 0)
    assert {pfn for pfn, descriptor in dump.descriptors.items() if descriptor == shared} == zero
    assert dump.data[dump.data_offset :][:4096] == bytes(4096)


def test_the_zero_page_is_there_even_if_no_page_is_zero(tmp_path: Path) -> None:
    core = build(Spec(ram=(Ram(1 * MIB, 8 * MIB),), vmcoreinfo=False))
    dumps = []
    for level in (0, 1):
        dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", level)
        dumps.append(DumpFile(tmp_path / "dump"))
    plain, zero = dumps
    assert plain.data_offset == zero.data_offset
    assert plain.descriptors[256].offset == plain.data_offset
    assert zero.descriptors[256].offset == zero.data_offset + 4096


def test_without_the_zero_bit_zero_pages_are_pages_like_others(tmp_path: Path) -> None:
    core = build(random_layout(Spec(ram=SMALL), seed=1))
    report = dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 16)
    dump = DumpFile(tmp_path / "dump")
    assert report.zero == 0
    offsets = [descriptor.offset for descriptor in dump.descriptors.values()]
    assert offsets == list(range(dump.data_offset, dump.data_offset + 4096 * len(offsets), 4096))


def test_a_page_that_compression_does_not_shrink_is_stored_raw(tmp_path: Path) -> None:
    random, text = place(2560, Anon(content=Content.RANDOM)), place(2561, Anon(content=Content.TEXT))
    core = build(Spec(ram=SMALL, pages=(random, text)))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 1, compression="zlib")
    dump = DumpFile(tmp_path / "dump")
    raw, packed = dump.descriptors[2560], dump.descriptors[2561]
    assert (raw.size, raw.flags) == (4096, 0)
    assert (packed.size < 4096, packed.flags) == (True, 1)
    assert dump.page(2560) == core.page(2560)
    assert dump.page(2561) == core.page(2561)


def test_page_data_lies_without_gaps_in_order_of_page_frames(tmp_path: Path) -> None:
    core = build(random_layout(Spec(ram=SMALL), seed=1))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 31, compression="zlib")
    dump = DumpFile(tmp_path / "dump")
    at = dump.data_offset + 4096
    for descriptor in dump.descriptors.values():
        if descriptor.offset != dump.data_offset:
            assert descriptor.offset == at
            at += descriptor.size
    assert at == len(dump.data)


@pytest.mark.parametrize("compression", ["zlib", "lzo", "snappy", "zstd"])
def test_each_codec_marks_pages_and_header_and_is_read_back(compression: str, tmp_path: Path) -> None:
    try:
        codec_named(compression).packer()
    except MissingCodecError as error:
        pytest.skip(str(error))
    core = build(random_layout(Spec(ram=SMALL), seed=1))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 31, compression=compression)
    dump = DumpFile(tmp_path / "dump")
    flag = {"zlib": 1, "lzo": 2, "snappy": 4, "zstd": 0x20}[compression]
    assert dump.main["status"] == flag
    assert {descriptor.flags for descriptor in dump.descriptors.values()} == {0, flag}
    with open_dump(tmp_path / "dump") as again:
        assert isinstance(again, KdumpFile)
        assert all(again.read(pfn << 12, 4096) == core.page(pfn) for pfn in dump.pfns)


@pytest.mark.parametrize("flags", [0, 1])
def test_a_page_whose_flags_are_not_those_of_its_size_is_not_taken_over(flags: int, tmp_path: Path) -> None:
    """The flags of what is written are by the size: a damaged page would be another one, and sound."""
    core = build(random_layout(Spec(ram=SMALL), seed=1))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 0, compression="zlib")
    dump = DumpFile(tmp_path / "dump")
    other = next(number for number, pfn in enumerate(dump.pfns) if dump.descriptors[pfn].flags != flags)
    damaged = bytearray(dump.data)
    struct.pack_into("<I", damaged, dump.data_offset - 24 * (len(dump.pfns) - other) + 12, flags)
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(FormatError, match=f"age {dump.pfns[other]:#x} "):
        dump_of(core, tmp_path / "damaged", tmp_path / "again", 0, compression="zlib")


@pytest.mark.parametrize("processes", [1, 2, 8])
def test_any_number_of_processes_and_block_order_writes_the_same_bytes(processes: int, tmp_path: Path) -> None:
    core = build(random_layout(Spec(), seed=1))
    vmcore = elf_of(core, tmp_path)
    one = dump_of(core, vmcore, tmp_path / "one", 31, compression="zlib")
    many = dump_of(
        core, vmcore, tmp_path / "many", 31, compression="zlib", num_threads=processes, block_order=processes
    )
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    assert one == many


@pytest.mark.parametrize(("bits", "stored"), [(64, 4_000_000_000), (32, 4_000_000_000 - (1 << 32))])
def test_a_time_after_2038_is_stored_as_far_as_it_fits(bits: Any, stored: int, tmp_path: Path) -> None:
    core = build(Spec(ram=SMALL, arch="linear", bits=bits, crashtime=4_000_000_000))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 0)
    assert DumpFile(tmp_path / "dump", "64" if bits == 64 else "packed").main["tv_sec"] == stored
