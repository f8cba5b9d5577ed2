# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of dump gives the memory that it was made of."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

import pytest

from factory import Anon, ElfStyle, Free, KdumpStyle, Ram, Spec, Vmcore, build, flatten, place
from mdf.core.bitmap import Place
from mdf.core.dumps import Dump, ElfDump, KdumpFile, open_dump
from mdf.core.errors import AddressError, FormatError, InputError, UnsupportedError

MIB = 1 << 20
HOLES = (Ram(0x1000, 0x9FC00), Ram(MIB, 6 * MIB + 0x400), Ram(8 * MIB, 12 * MIB, filesz=3 * MIB))


@cache
def core(
    arch: Literal["x86_64", "linear"] = "x86_64",
    bits: Literal[32, 64] = 64,
    byteorder: Literal["little", "big"] = "little",
) -> Vmcore:
    spec = Spec(release="6.1.0", arch=arch, bits=bits, byteorder=byteorder, ram=HOLES, crashtime=1234567890, cpus=3)
    if arch == "linear":
        spec = replace(spec, machine=8 if bits == 32 else 22)
    return build(replace(spec, pages=(place(600, Free(order=3)), place(700, Anon()))))


def page(made: Vmcore, pfn: int) -> bytes:
    """A page as far as the segments have it."""
    content, size = bytearray(made.page_size), made.page_size
    for segment in made.segments:
        first, last = max(segment.paddr, pfn * size), min(segment.paddr + segment.filesz, (pfn + 1) * size)
        if first < last:
            content[first - pfn * size : last - pfn * size] = made.page(pfn)[first - pfn * size : last - pfn * size]
    return bytes(content)


def assert_same_memory(dump: Dump, made: Vmcore) -> None:
    """Pages, odd ranges that cross pages, and runs."""
    present = dump.present(dump.max_mapnr, Place(), partial_tail=True)
    stored = dump.stored(present)
    size, chance = dump.page_size, random.Random(1)
    content = made.page if isinstance(dump, KdumpFile) else partial(page, made)
    for start, end in stored.runs():
        buffer = bytearray((end - start) * size)
        dump.read_pages(start, end, memoryview(buffer))
        assert buffer == b"".join(content(pfn) for pfn in range(start, end))
    runs = list(stored.runs())
    for _ in range(200):
        start, end = chance.choice(runs)
        offset = chance.randrange((end - start) * size)
        length = min(chance.choice((1, 7, 4096, 10000)), (end - start) * size - offset)
        whole = b"".join(
            content(pfn) for pfn in range(start + offset // size, start + (offset + length - 1) // size + 1)
        )
        assert dump.read(start * size + offset, length) == whole[offset % size : offset % size + length]


@pytest.mark.parametrize("style", [ElfStyle(), ElfStyle(qemu=True), ElfStyle(headers=70000), ElfStyle(bits=32)])
def test_elf_vmcore_gives_the_memory_wherever_its_program_headers_are(style: ElfStyle, tmp_path: Path) -> None:
    with open_dump(core().elf(tmp_path / "vmcore", style)) as dump:
        assert isinstance(dump, ElfDump)
        assert (dump.machine, dump.bits, dump.nr_cpus, dump.level) == ("x86_64", 64, 3, 0)
        assert dump.max_mapnr == core().max_mapnr
        assert_same_memory(dump, core())


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_elf_vmcore_of_both_classes_and_byte_orders(
    bits: Literal[32, 64], byteorder: Literal["little", "big"], tmp_path: Path
) -> None:
    made = core("linear", bits, byteorder)
    with open_dump(made.elf(tmp_path / "vmcore")) as dump:
        assert (dump.bits, dump.byteorder, dump.page_size) == (bits, byteorder, made.page_size)
        assert dump.info is not None
        assert dump.info.crashtime == 1234567890
        assert_same_memory(dump, made)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize(("bits", "padded"), [(64, False), (32, False), (32, True)])
def test_kdump_of_every_header_version_layout_and_byte_order(
    version: int, byteorder: Literal["little", "big"], bits: Literal[32, 64], padded: bool, tmp_path: Path
) -> None:
    made = core("linear", bits, byteorder)
    style = KdumpStyle(version=version, padded=padded, zlib=True, level=1, eraseinfo=b"erase x size 1\n")
    with open_dump(made.kdump(tmp_path / "dump", style)) as dump:
        assert isinstance(dump, KdumpFile)
        assert (dump.bits, dump.byteorder, dump.level, dump.main.version) == (bits, byteorder, 1, version)
        assert dump.max_mapnr == made.max_mapnr
        assert (dump.info is not None) == (version >= 3)
        # Version 3 has no notes, only the text: it becomes a note.
        assert (dump.notes.vmcoreinfo is not None) == (version >= 3)
        assert dump.notes.nr_cpus == (3 if version >= 4 else 0)
        assert dump.eraseinfo == (b"erase x size 1\n" if version >= 5 else b"")
        assert dump.timestamp == (1234567890, 0)
        assert_same_memory(dump, made)


def test_a_page_that_was_left_out_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = core().kdump(tmp_path / "dump", KdumpStyle(level=16, excluded=core().excluded(16)))
    with open_dump(path) as dump, pytest.raises(AddressError, match="0x258 is not in"):
        dump.read(600 * 4096, 1)


def test_flattened_streams_are_read_in_place_and_later_records_win(tmp_path: Path) -> None:
    plain = core().kdump(tmp_path / "dump", KdumpStyle(zlib=True))
    stream = tmp_path / "stream"
    stream.write_bytes(flatten(plain))
    with open_dump(stream) as dump:
        assert_same_memory(dump, core())
    with open_dump(plain) as direct, open_dump(stream) as dump:
        size = direct.source.size
        assert dump.source.read(0, size, "all") == direct.source.read(0, size, "all")


def test_a_flattened_stream_without_its_end_is_an_error(tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(flatten(core().kdump(tmp_path / "dump"))[:-16])
    with pytest.raises(FormatError, match="without its end"):
        open_dump(stream)


def test_a_flattened_stream_of_nearly_nothing_but_holes_is_an_error(tmp_path: Path) -> None:
    stream = flatten(core().elf(tmp_path / "vmcore"))
    record = struct.pack(">qq", 1 << 50, 1) + b"x"
    (tmp_path / "stream").write_bytes(stream[:-16] + record + stream[-16:])
    with pytest.raises(FormatError, match=r"impossible size: a stream of \w+ bytes is of 0x4000000000001"):
        open_dump(tmp_path / "stream")


def test_a_header_version_that_is_not_known_is_named(tmp_path: Path) -> None:
    path = core().kdump(tmp_path / "dump")
    data = bytearray(path.read_bytes())
    data[8] = 7
    path.write_bytes(data)
    with pytest.raises(UnsupportedError, match="version 7"):
        open_dump(path)


def test_memory_that_is_no_segment_is_an_error_and_gaps_inside_a_read_are_zeros(tmp_path: Path) -> None:
    with open_dump(core().elf(tmp_path / "vmcore")) as dump:
        with pytest.raises(AddressError, match="0x700000"):
            dump.read(7 * MIB, 16)
        across = dump.read(6 * MIB, 2 * MIB + 16)
        assert across[0x400 : 2 * MIB] == bytes(2 * MIB - 0x400)
        assert across[2 * MIB :] == core().page(8 * MIB // 4096)[:16]


def test_the_last_page_of_a_segment_counts_only_if_asked_for(tmp_path: Path) -> None:
    with open_dump(core().elf(tmp_path / "vmcore")) as dump:
        whole = dump.present(dump.max_mapnr, Place(), partial_tail=True)
        without = dump.present(dump.max_mapnr, Place(), partial_tail=False)
        assert [pfn for pfn in range(dump.max_mapnr) if whole[pfn] and not without[pfn]] == [0x9F, 6 * MIB // 4096]


def test_pages_without_data_are_present_but_not_stored(tmp_path: Path) -> None:
    with open_dump(core().elf(tmp_path / "vmcore")) as dump:
        present = dump.present(dump.max_mapnr, Place(), partial_tail=True)
        stored = dump.stored(present)
        missing = [pfn for pfn in range(dump.max_mapnr) if present[pfn] and not stored[pfn]]
        assert missing == list(range(11 * MIB // 4096, 12 * MIB // 4096))


@pytest.mark.parametrize("what", ["missing", "directory"])
def test_what_cannot_be_opened_is_an_input_error(what: str, tmp_path: Path) -> None:
    with pytest.raises((InputError, FormatError), match=r"dump memory|ehdr"):
        open_dump(tmp_path if what == "directory" else tmp_path / "missing")


def test_a_stream_that_cannot_be_read_at_offsets_is_an_input_error(tmp_path: Path) -> None:
    import os

    read, write = os.pipe()
    try:
        with pytest.raises(InputError, match="dump memory"):
            open_dump(f"/dev/fd/{read}")
    finally:
        os.close(read)
        os.close(write)


def test_pages_read_into_a_used_buffer_leave_nothing_of_what_was_in_it(tmp_path: Path) -> None:
    with open_dump(core().elf(tmp_path / "vmcore")) as dump:
        for pfn in (0x9F, 6 * MIB // 4096):  # The segment covers its beginning only.
            buffer = bytearray(b"\xaa" * 4096)
            dump.read_pages(pfn, pfn + 1, memoryview(buffer))
            assert buffer == page(core(), pfn)
