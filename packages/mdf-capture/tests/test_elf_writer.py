# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF dumps: where segments are cut, and what their headers say."""

from __future__ import annotations

import struct
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from captures import dump_of, elf_of
from factory import MIB, Anon, Content, ElfStyle, Kind, Note, Placement, Ram, Spec, Vmcore, build, place
from mdf.core.dumps import ElfDump, open_dump
from mdf.core.formats.elf import ProgramHeader

PAGE = 4096


def _anon(start: int, count: int) -> tuple[Placement, ...]:
    return tuple(place(pfn, Anon()) for pfn in range(start, start + count))


def _machine(*pages: Placement, **changes: Any) -> Vmcore:
    """One segment: the pages 0x100 to 0x2000; the kernel keeps its own data up to 0xfff."""
    fields: dict[str, Any] = {"ram": (Ram(1 * MIB, 32 * MIB),), "text_segment": False} | changes
    return build(Spec(pages=pages, **fields))


def _loads(core: Vmcore, folder: Path, level: int = 8, style: ElfStyle | None = None) -> tuple[ProgramHeader, ...]:
    """The PT_LOADs of the ELF dump, after a check that all of the file is accounted for and the memory is right."""
    dump_of(core, elf_of(core, folder, style), folder / "dump", level, elf=True)
    with open_dump(folder / "dump") as dump, open_dump(folder / "vmcore") as vmcore:
        assert isinstance(dump, ElfDump)
        assert not dump.incomplete
        assert dump.notes.data == core.notes()
        at = dump.note_header.offset + dump.note_header.filesz
        for load in dump.loads:
            if load.filesz:
                assert load.offset == at
                assert dump.read(load.paddr, load.filesz) == vmcore.read(load.paddr, load.filesz)
            at += load.filesz
        assert at == (folder / "dump").stat().st_size
        return dump.loads


def _sizes(loads: tuple[ProgramHeader, ...]) -> list[tuple[int, int, int]]:
    """Address, size in the file and size in memory, in pages."""
    return [(load.paddr // PAGE, load.filesz // PAGE, load.memsz // PAGE) for load in loads]


def test_fewer_than_256_pages_in_a_row_are_written_though_left_out(tmp_path: Path) -> None:
    core = _machine(*_anon(0x1800, 255))
    assert _sizes(_loads(core, tmp_path)) == [(0x100, 0x1F00, 0x1F00)]


def test_256_pages_in_a_row_cut_a_segment(tmp_path: Path) -> None:
    core = _machine(*_anon(0x1800, 256))
    assert _sizes(_loads(core, tmp_path)) == [(0x100, 0x1700, 0x1800), (0x1900, 0x700, 0x700)]


def test_a_kept_page_starts_counting_anew(tmp_path: Path) -> None:
    core = _machine(*_anon(0x1800, 200), *_anon(0x1800 + 201, 200))
    assert _sizes(_loads(core, tmp_path)) == [(0x100, 0x1F00, 0x1F00)]


def test_the_end_of_a_segment_is_cut_off_however_short_it_is(tmp_path: Path) -> None:
    core = _machine(*_anon(0x1FFF, 1))
    assert _sizes(_loads(core, tmp_path)) == [(0x100, 0x1EFF, 0x1F00)]


def test_a_segment_that_begins_with_a_long_run_has_a_header_without_data(tmp_path: Path) -> None:
    core = _machine(*_anon(0x100, 0x100))
    loads = _loads(core, tmp_path)
    assert _sizes(loads) == [(0x100, 0, 0x100), (0x200, 0x1E00, 0x1E00)]
    assert [load.offset == 0 for load in loads] == [True, False]


def test_a_segment_that_is_left_out_whole_keeps_its_place_in_the_file(tmp_path: Path) -> None:
    core = _machine(*_anon(0x2400, 0x100), ram=(Ram(1 * MIB, 32 * MIB), Ram(36 * MIB, 37 * MIB)))
    loads = _loads(core, tmp_path)
    assert _sizes(loads) == [(0x100, 0x1F00, 0x1F00), (0x2400, 0, 0x100)]
    assert loads[1].offset == (tmp_path / "dump").stat().st_size


def test_a_segment_without_data_in_the_vmcore_has_none_in_the_dump(tmp_path: Path) -> None:
    core = _machine(ram=(Ram(1 * MIB, 32 * MIB), Ram(36 * MIB, 37 * MIB, filesz=0), Ram(40 * MIB, 41 * MIB)))
    loads = _loads(core, tmp_path)
    assert _sizes(loads) == [(0x100, 0x1F00, 0x1F00), (0x2400, 0, 0x100), (0x2800, 0x100, 0x100)]


def test_pages_behind_filesz_are_left_out(tmp_path: Path) -> None:
    core = _machine(ram=(Ram(1 * MIB, 32 * MIB, filesz=24 * MIB + 0x800),))
    load, *others = _loads(core, tmp_path)
    assert not others
    assert (load.filesz, load.memsz) == (24 * MIB + PAGE, 31 * MIB)


def test_virtual_addresses_flags_and_alignment_go_along_with_the_pieces(tmp_path: Path) -> None:
    core = _machine(*_anon(0x1800, 256))
    loads = _loads(core, tmp_path)
    with open_dump(tmp_path / "vmcore") as vmcore:
        assert isinstance(vmcore, ElfDump)
        (whole,) = vmcore.loads
    assert [load.vaddr - load.paddr for load in loads] == [core.machine.direct] * 2
    assert {(load.flags, load.align) for load in loads} == {(whole.flags, whole.align)}


@pytest.mark.parametrize("work_dir", [False, True], ids=["cyclic", "one pass"])
def test_the_head_inside_a_page_is_written_and_the_tail_in_one_pass_only(work_dir: bool, tmp_path: Path) -> None:
    ram = (Ram(1 * MIB + 0x234, 32 * MIB + 0x567), Ram(33 * MIB, 33 * MIB + 2 * PAGE))
    core = _machine(ram=ram)
    place_ = tmp_path if work_dir else None
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 0, elf=True, work_dir=place_)
    with open_dump(tmp_path / "dump") as dump:
        assert isinstance(dump, ElfDump)
        first = dump.loads[0]
        assert dump.read(first.paddr, PAGE) == (core.page(0x100) + core.page(0x101))[0x234 : 0x234 + PAGE]
    assert (first.paddr, first.memsz) == (1 * MIB + 0x234, 31 * MIB + 0x333)
    assert first.filesz == first.memsz - (0 if work_dir else 0x567)


def test_zero_pages_are_left_out_in_long_runs_and_counted(tmp_path: Path) -> None:
    zeros: Kind = Anon(content=Content.ZERO)
    pages = [place(pfn, zeros) for pfn in (*range(0x1400, 0x1400 + 255), *range(0x1800, 0x1900))]
    core = _machine(*pages)
    report = dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 1, elf=True)
    assert report.zero == len(core.zero_pfns()) >= 511
    assert report.elf_excluded == 256
    assert _sizes(_loads(core, tmp_path, 1)) == [(0x100, 0x1700, 0x1800), (0x1900, 0x700, 0x700)]


@pytest.mark.parametrize(("bits", "byteorder"), [*product((32, 64), ("little", "big"))])
def test_every_class_and_byte_order(bits: Any, byteorder: Any, tmp_path: Path) -> None:
    core = _machine(*_anon(0x1800, 256), arch="linear", bits=bits, byteorder=byteorder)
    assert _sizes(_loads(core, tmp_path)) == [(0x100, 0x1700, 0x1800), (0x1900, 0x700, 0x700)]
    with open_dump(tmp_path / "dump") as dump:
        assert isinstance(dump, ElfDump)
        assert (dump.header.bits, dump.byteorder) == (bits, byteorder)


def test_headers_of_qemu_are_put_where_they_belong(tmp_path: Path) -> None:
    core = _machine(*_anon(0x1800, 256))
    loads = _loads(core, tmp_path, 8, ElfStyle(qemu=True))
    assert _sizes(loads) == [(0x100, 0x1700, 0x1800), (0x1900, 0x700, 0x700)]
    data = (tmp_path / "dump").read_bytes()
    phoff, shoff = struct.unpack_from("<QQ", data, 32)
    phnum, _, shnum, _ = struct.unpack_from("<HHHH", data, 56)
    assert (phoff, shoff, phnum, shnum) == (64, 0, 3, 0)
    assert struct.unpack_from("<I", data, 64)[0] == 4


def test_more_segments_than_the_header_can_count(tmp_path: Path) -> None:
    core = _machine(vmcoreinfo=False)
    vmcore = elf_of(core, tmp_path)
    data = vmcore.read_bytes()
    notes, load = data[64:120], data[120:176]
    count = 65536
    shift = -(-(64 + count * 56 + 64) // PAGE) * PAGE
    # Behind the vmcore's own segment many without data, and one that shows the same first page.
    more = struct.pack("<IIQQQQQQ", 1, 7, 0, 0, 40 * MIB, 0, PAGE, 0) * (count - 3)
    more += struct.pack("<IIQQQQQQ", 1, 7, struct.unpack_from("<Q", load, 8)[0] + shift, 0, 48 * MIB, PAGE, PAGE, 0)
    header = data[:40] + struct.pack("<QIHHHHHH", 64 + count * 56, 0, 64, 56, 0xFFFF, 64, 1, 0)
    section = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 1, 0, count, 0, 0)
    table = b"".join(_moved(entry, shift) for entry in (notes, load)) + more
    vmcore.write_bytes((header + table + section).ljust(shift, b"\0") + data)
    dump_of(core, vmcore, tmp_path / "dump", 0, elf=True)
    made = (tmp_path / "dump").read_bytes()
    assert struct.unpack_from("<Q", made, 40)[0] == 64 + count * 56
    assert struct.unpack_from("<HHHH", made, 56) == (0xFFFF, 64, 1, 0)
    assert made[64 + count * 56 :][:64] == section
    with open_dump(tmp_path / "dump") as dump:
        assert isinstance(dump, ElfDump)
        assert len(dump.loads) == count - 1
        assert dump.notes.data == core.notes()
        last = dump.loads[-1]
        assert (last.paddr, last.filesz) == (48 * MIB, PAGE)
        assert made[last.offset : last.offset + PAGE] == core.page(0x100)


def _moved(header: bytes, by: int) -> bytes:
    return header[:8] + struct.pack("<Q", struct.unpack_from("<Q", header, 8)[0] + by) + header[16:]


def test_only_the_first_note_segment_is_taken_along_unchanged(tmp_path: Path) -> None:
    core = _machine(notes=(Note("QEMU", 0, bytes(range(200))), Note("LINUX", 0x700, b"device")))
    _loads(core, tmp_path)
    with open_dump(tmp_path / "dump") as dump, open_dump(tmp_path / "vmcore") as vmcore:
        assert isinstance(dump, ElfDump)
        assert isinstance(vmcore, ElfDump)
        assert dump.note_header.offset == 64 + 2 * 56
        assert (dump.note_header.filesz, dump.note_header.memsz) == (
            vmcore.note_header.filesz,
            vmcore.note_header.memsz,
        )
