# SPDX-License-Identifier: GPL-2.0-or-later
"""Records on disk have the sizes and offsets of the format, for every word size, alignment and byte order."""

from __future__ import annotations

import struct
from dataclasses import fields, replace

import pytest

from mdf.core.errors import FormatError
from mdf.core.formats import diskdump, elf, flattened
from mdf.core.formats.diskdump import Layout, MainHeader, SubHeader
from mdf.core.formats.elf import ElfHeader, ProgramHeader

SUB_OFFSETS = {
    (64, 8): (0, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96),
    (32, 4): (0, 4, 8, 12, 16, 20, 28, 32, 40, 44, 52, 56, 64, 72),
    (32, 8): (0, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88),
}
SUB_SIZES = {(64, 8): 104, (32, 4): 80, (32, 8): 96}
MAIN_OFFSETS = {
    64: {"tv_sec": 408, "tv_usec": 416, "status": 424, "block_size": 428, "sub_hdr_size": 432, "nr_cpus": 460},
    32: {"tv_sec": 404, "tv_usec": 408, "status": 412, "block_size": 416, "sub_hdr_size": 420, "nr_cpus": 448},
}


@pytest.mark.parametrize("key", SUB_OFFSETS)
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_every_member_of_the_sub_header_is_at_its_offset(key: tuple[int, int], byteorder: elf.ByteOrder) -> None:
    layout = Layout(*key, byteorder)
    assert layout.sub().size == SUB_SIZES[key]
    for field, offset in zip(fields(SubHeader), SUB_OFFSETS[key], strict=True):
        data = layout.pack_sub(replace(SubHeader(), **{field.name: 0x5A}))
        low = data.index(0x5A)
        assert offset <= low < offset + 8
        assert data.count(0) == len(data) - 1
        assert layout.parse_sub(data, 6) == replace(SubHeader(), **{field.name: 0x5A})
        assert low == offset if byteorder == "little" else low in (offset + 3, offset + 7)


@pytest.mark.parametrize(("version", "size"), [(1, 16), (2, 32), (3, 48), (4, 64), (5, 80), (6, 104)])
def test_sub_header_of_a_64_bit_machine_grew_with_the_versions(version: int, size: int) -> None:
    assert Layout(64, 8, "little").sub(version).size == size


@pytest.mark.parametrize("bits", [32, 64])
def test_every_member_of_the_main_header_is_at_its_offset(bits: int) -> None:
    layout = Layout(bits, bits // 8, "little")
    assert layout.main.size == {64: 464, 32: 452}[bits]
    header = MainHeader(6, b"u" * 390, 1, 2, 3, 4096, 5, 6, 7, nr_cpus=8)
    data = layout.pack_main(header)
    assert data[:12] == b"KDUMP   \x06\0\0\0"
    assert data[12:402] == b"u" * 390
    for name, offset in MAIN_OFFSETS[bits].items():
        assert struct.unpack_from("<I", data, offset)[0] == getattr(header, name)
    assert layout.parse_main(data) == header


def test_32_bit_machines_but_i386_align_8_byte_integers_to_8() -> None:
    assert diskdump.layout_for(32, "little", "i686").align64 == 4
    assert diskdump.layout_for(32, "big", "ppc").align64 == 8
    assert diskdump.layout_for(64, "little", "x86_64").align64 == 8


def test_a_page_descriptor_has_24_bytes() -> None:
    assert diskdump.descriptor_struct("big").size == diskdump.DESCRIPTOR_SIZE == 24


@pytest.mark.parametrize(("max_mapnr", "blocks"), [(0, 0), (1, 2), (32768, 2), (32769, 4), (262097, 16)])
def test_bitmaps_take_whole_blocks(max_mapnr: int, blocks: int) -> None:
    assert diskdump.bitmap_blocks(max_mapnr, 4096) == blocks


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_elf_headers_are_what_they_are_parsed_from(bits: int, byteorder: elf.ByteOrder) -> None:
    ident = b"\x7fELF" + bytes([bits // 32, 1 if byteorder == "little" else 2]) + bytes(10)
    header = ElfHeader(ident, bits, byteorder, 4, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    load = ProgramHeader(1, 7, 0x1000, 0xC0000000, 0x2000, 0x300, 0x400, 1)
    assert ElfHeader.parse(header.pack()) == header
    assert (len(header.pack()), len(load.pack(bits, byteorder))) == {64: (64, 56), 32: (52, 32)}[bits]
    assert ProgramHeader.parse(load.pack(bits, byteorder), 0, bits, byteorder) == load
    flags_at = 4 if bits == 64 else 24
    assert int.from_bytes(load.pack(bits, byteorder)[flags_at : flags_at + 4], byteorder) == 7


def test_notes_are_padded_and_unnamed_ones_left_out() -> None:
    segment = elf.pack_note("VMCOREINFO", 0, b"OSRELEASE=6.1", "big") + struct.pack(">III", 0, 4, 0) + b"abcd"
    segment += elf.pack_note("CORE", 1, b"regs", "big")
    found = [(note.name, note.type, note.desc) for note in elf.notes(segment, "big")]
    assert found == [("VMCOREINFO", 0, b"OSRELEASE=6.1"), ("CORE", 1, b"regs")]
    assert segment[next(elf.notes(segment, "big")).offset :].startswith(b"OSRELEASE")


def test_a_note_that_reaches_beyond_its_segment_is_an_error() -> None:
    with pytest.raises(FormatError, match="truncated in the note at byte 0"):
        list(elf.notes(elf.pack_note("CORE", 1, b"registers", "little")[:-4], "little"))


def test_flattened_records_are_big_endian_and_the_header_takes_a_page() -> None:
    header = flattened.pack_header()
    assert len(header) == 4096
    assert header[:32] == b"makedumpfile\0\0\0\0" + (1).to_bytes(8, "big") * 2
    assert flattened.pack_record(flattened.END, flattened.END) == b"\xff" * 16
    assert flattened.parse_record(flattened.pack_record(5, 7)) == (5, 7)
