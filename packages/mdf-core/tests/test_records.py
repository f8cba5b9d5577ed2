# SPDX-License-Identifier: GPL-2.0-or-later
"""Records on disk have the sizes and offsets of the format, for every word size, alignment and byte order."""

from __future__ import annotations

import struct
from dataclasses import fields

import pytest

from mdf.core.errors import FormatError
from mdf.core.formats import diskdump, elf, flattened
from mdf.core.formats.diskdump import Layout, MainHeader, SubHeader
from mdf.core.formats.elf import ByteOrder, ElfHeader, ProgramHeader

ORDERS: tuple[ByteOrder, ByteOrder] = ("little", "big")
WIDE, PACKED, PADDED = (64, 8), (32, 4), (32, 8)

# Where the format has each field of the main header, for 64 and for 32 bits: offset, size.
MAIN = {
    "version": ((8, 4), (8, 4)),
    "utsname": ((12, 390), (12, 390)),
    "tv_sec": ((408, 8), (404, 4)),
    "tv_usec": ((416, 8), (408, 4)),
    "status": ((424, 4), (412, 4)),
    "block_size": ((428, 4), (416, 4)),
    "sub_hdr_size": ((432, 4), (420, 4)),
    "bitmap_blocks": ((436, 4), (424, 4)),
    "max_mapnr": ((440, 4), (428, 4)),
    "total_ram_blocks": ((444, 4), (432, 4)),
    "device_blocks": ((448, 4), (436, 4)),
    "written_blocks": ((452, 4), (440, 4)),
    "current_cpu": ((456, 4), (444, 4)),
    "nr_cpus": ((460, 4), (448, 4)),
}
# The same for the sub header: the version that brought it; offsets on 64-bit, packed and padded machines; sizes.
SUB = {
    "phys_base": (1, (0, 0, 0), (8, 4)),
    "dump_level": (1, (8, 4, 4), (4, 4)),
    "split": (2, (12, 8, 8), (4, 4)),
    "start_pfn": (2, (16, 12, 12), (8, 4)),
    "end_pfn": (2, (24, 16, 16), (8, 4)),
    "offset_vmcoreinfo": (3, (32, 20, 24), (8, 8)),
    "size_vmcoreinfo": (3, (40, 28, 32), (8, 4)),
    "offset_note": (4, (48, 32, 40), (8, 8)),
    "size_note": (4, (56, 40, 48), (8, 4)),
    "offset_eraseinfo": (5, (64, 44, 56), (8, 8)),
    "size_eraseinfo": (5, (72, 52, 64), (8, 4)),
    "start_pfn_64": (6, (80, 56, 72), (8, 8)),
    "end_pfn_64": (6, (88, 64, 80), (8, 8)),
    "max_mapnr_64": (6, (96, 72, 88), (8, 8)),
}
ELF_HEADER = {
    "type": ((16, 2), (16, 2)),
    "machine": ((18, 2), (18, 2)),
    "version": ((20, 4), (20, 4)),
    "entry": ((24, 8), (24, 4)),
    "phoff": ((32, 8), (28, 4)),
    "shoff": ((40, 8), (32, 4)),
    "flags": ((48, 4), (36, 4)),
    "ehsize": ((52, 2), (40, 2)),
    "phentsize": ((54, 2), (42, 2)),
    "phnum": ((56, 2), (44, 2)),
    "shentsize": ((58, 2), (46, 2)),
    "shnum": ((60, 2), (48, 2)),
    "shstrndx": ((62, 2), (50, 2)),
}
PROGRAM_HEADER = {
    "type": ((0, 4), (0, 4)),
    "flags": ((4, 4), (24, 4)),
    "offset": ((8, 8), (4, 4)),
    "vaddr": ((16, 8), (8, 4)),
    "paddr": ((24, 8), (12, 4)),
    "filesz": ((32, 8), (16, 4)),
    "memsz": ((40, 8), (20, 4)),
    "align": ((48, 8), (28, 4)),
}


def distinct(index: int, size: int) -> int:
    """A number that no other field has, positive also where the field is signed."""
    return int.from_bytes(bytes([index + 1, *range(0x60, 0x60 + size - 1)]), "little")


@pytest.mark.parametrize("byteorder", ORDERS)
@pytest.mark.parametrize(("bits", "size"), [(64, 464), (32, 452)])
def test_main_header_has_each_field_where_the_format_has_it(bits: int, size: int, byteorder: ByteOrder) -> None:
    layout = Layout(bits, bits // 8, byteorder)
    raw = bytearray(b"KDUMP   ".ljust(size, b"\x00"))
    values: dict[str, int | bytes] = {}
    for index, (name, places) in enumerate(MAIN.items()):
        at, width = places[bits == 32]
        values[name] = bytes(range(195)) * 2 if name == "utsname" else distinct(index, width)
        value = values[name]
        raw[at : at + width] = value if isinstance(value, bytes) else value.to_bytes(width, byteorder)
    header = layout.parse_main(bytes(raw))
    assert {field.name: getattr(header, field.name) for field in fields(header)} == values
    assert layout.pack_main(header) == bytes(raw)


@pytest.mark.parametrize("byteorder", ORDERS)
@pytest.mark.parametrize(
    ("shape", "column", "sizes"),
    [(WIDE, 0, (16, 32, 48, 64, 80, 104)), (PACKED, 1, (8, 20, 32, 44, 56, 80)), (PADDED, 2, (8, 20, 40, 56, 72, 96))],
)
def test_sub_header_has_each_field_where_the_format_has_it(
    shape: tuple[int, int], column: int, sizes: tuple[int, ...], byteorder: ByteOrder
) -> None:
    layout = Layout(*shape, byteorder)
    assert tuple(layout.sub(version).size for version in range(1, 7)) == sizes
    raw = bytearray(sizes[-1])
    values = {}
    for index, (name, (_, offsets, widths)) in enumerate(SUB.items()):
        at, width = offsets[column], widths[shape[0] == 32]
        values[name] = distinct(index, width)
        raw[at : at + width] = values[name].to_bytes(width, byteorder)
    for version in range(1, 7):
        header = layout.parse_sub(bytes(raw), version)
        known = {name: value if SUB[name][0] <= version else 0 for name, value in values.items()}
        assert {field.name: getattr(header, field.name) for field in fields(header)} == known
    assert layout.pack_sub(layout.parse_sub(bytes(raw), 6)) == bytes(raw)
    with pytest.raises(FormatError, match="truncated"):
        layout.parse_sub(bytes(raw[:-1]), 6)


def test_only_i386_aligns_8_byte_integers_to_4() -> None:
    machines = ("i386", "i686", "arm", "ppc", "mips")
    assert [diskdump.layout_for(32, "little", machine).align64 for machine in machines] == [4, 4, 8, 8, 8]
    assert diskdump.layout_for(64, "big", "s390x") == Layout(64, 8, "big")


def test_a_page_descriptor_is_24_bytes() -> None:
    descriptor = diskdump.descriptor_struct("big")
    assert descriptor.size == diskdump.DESCRIPTOR_SIZE == 24
    raw = (1 << 40).to_bytes(8, "big") + (4096).to_bytes(4, "big") + (0x20).to_bytes(4, "big") + bytes(8)
    assert descriptor.unpack(raw) == (1 << 40, 4096, 0x20, 0)


@pytest.mark.parametrize(
    ("pages", "blocks"), [(0, 0), (1, 2), (8 * 4096, 2), (8 * 4096 + 1, 4), (0x3FFD1, 16), (1 << 32, 2 << 17)]
)
def test_two_bitmaps_take_whole_blocks(pages: int, blocks: int) -> None:
    assert diskdump.bitmap_blocks(pages, 4096) == blocks


@pytest.mark.parametrize("byteorder", ORDERS)
@pytest.mark.parametrize(("bits", "size"), [(64, 64), (32, 52)])
def test_elf_header_has_each_field_where_the_format_has_it(bits: int, size: int, byteorder: ByteOrder) -> None:
    ident = b"\x7fELF" + bytes([bits // 32, 1 + ORDERS.index(byteorder), 1]) + bytes(9)
    raw = bytearray(ident.ljust(size, b"\x00"))
    values = {}
    for index, (name, places) in enumerate(ELF_HEADER.items()):
        at, width = places[bits == 32]
        values[name] = distinct(index, width)
        raw[at : at + width] = values[name].to_bytes(width, byteorder)
    header = ElfHeader.parse(bytes(raw))
    assert {name: getattr(header, name) for name in values} == values
    assert (header.bits, header.byteorder, header.ident) == (bits, byteorder, ident)
    assert header.pack() == bytes(raw)
    assert elf.header_size(bits) == size
    with pytest.raises(FormatError, match="truncated"):
        ElfHeader.parse(bytes(raw[:-1]))


@pytest.mark.parametrize("byteorder", ORDERS)
@pytest.mark.parametrize(("bits", "size"), [(64, 56), (32, 32)])
def test_program_header_has_each_field_where_the_format_has_it(bits: int, size: int, byteorder: ByteOrder) -> None:
    raw = bytearray(size)
    values = {}
    for index, (name, places) in enumerate(PROGRAM_HEADER.items()):
        at, width = places[bits == 32]
        values[name] = distinct(index, width)
        raw[at : at + width] = values[name].to_bytes(width, byteorder)
    header = ProgramHeader.parse(b"before" + bytes(raw), 6, bits, byteorder)
    assert {field.name: getattr(header, field.name) for field in fields(header)} == values
    assert header.pack(bits, byteorder) == bytes(raw)
    assert elf.program_header_size(bits) == size


@pytest.mark.parametrize("byteorder", ORDERS)
def test_the_extended_number_of_program_headers_is_sh_info(byteorder: ByteOrder) -> None:
    section = elf.pack_extended_count(70_000, byteorder)
    assert len(section) == elf.SECTION_HEADER_64_SIZE == 64
    assert int.from_bytes(section[44:48], byteorder) == 70_000
    assert int.from_bytes(section[32:40], byteorder) == 1
    assert elf.extended_count(section, byteorder) == 70_000


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fEL", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x03\x01" + bytes(60), b"\x7fELF\x02\x03" + bytes(60)],
)
def test_what_does_not_begin_an_elf_file_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        ElfHeader.parse(data)


def raw_note(name: bytes, kind: int, desc: bytes, byteorder: str) -> bytes:
    header = struct.pack(f"{'<' if byteorder == 'little' else '>'}III", len(name), len(desc), kind)
    return header + name + bytes(-len(name) % 4) + desc + bytes(-len(desc) % 4)


@pytest.mark.parametrize("byteorder", ORDERS)
def test_notes_are_padded_to_4_bytes_and_nameless_ones_are_padding(byteorder: ByteOrder) -> None:
    parts = [
        raw_note(b"CORE\x00", 1, b"registers", byteorder),
        raw_note(b"", 0, b"padding", byteorder),
        raw_note(b"VMCOREINFO\x00", 0, b"A=1\n", byteorder),
        raw_note(b"Xen\x00", 0x1000001, b"", byteorder),
    ]
    segment = b"".join(parts)
    found = list(elf.notes(segment + bytes(8), byteorder))
    assert [(note.name, note.type, note.desc) for note in found] == [
        ("CORE", 1, b"registers"),
        ("VMCOREINFO", 0, b"A=1\n"),
        ("Xen", 0x1000001, b""),
    ]
    assert [segment[note.offset : note.offset + len(note.desc)] for note in found] == [note.desc for note in found]
    assert elf.pack_note("VMCOREINFO", 0, b"A=1\n", byteorder) == parts[2]


@pytest.mark.parametrize("missing", [1, 4, 7])
def test_a_note_that_reaches_beyond_its_segment_is_refused(missing: int) -> None:
    first = raw_note(b"CORE\x00", 1, bytes(8), "little")
    second = raw_note(b"VMCOREINFO\x00", 0, bytes(8), "little")
    with pytest.raises(FormatError, match=f"truncated in the note at byte {len(first)} "):
        list(elf.notes((first + second)[:-missing], "little"))


def test_records_begin_with_what_the_writer_has_not_said_as_zero() -> None:
    assert SubHeader() == Layout(64, 8, "little").parse_sub(bytes(104), 6)
    assert MainHeader(6, bytes(390), 0, 0, 0, 4096, 2, 16, 8).machine == ""


def test_flattened_records_are_big_endian_and_the_header_takes_a_page() -> None:
    header = flattened.pack_header()
    assert len(header) == 4096
    assert header[:32] == b"makedumpfile\0\0\0\0" + (1).to_bytes(8, "big") * 2
    assert flattened.pack_record(flattened.END, flattened.END) == b"\xff" * 16
    assert flattened.parse_record(flattened.pack_record(5, 7)) == (5, 7)
