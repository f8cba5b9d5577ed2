# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes ELF vmcores, 32 and 64 bits, in either byte order; pages of zeros become holes of the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

if TYPE_CHECKING:
    from factory.vmcore import Vmcore

PT_NULL, PT_LOAD, PT_NOTE = 0, 1, 4
PN_XNUM = 0xFFFF


@dataclass(frozen=True)
class Segment:
    """A PT_LOAD."""

    vaddr: int
    paddr: int
    filesz: int
    memsz: int


@dataclass(frozen=True, kw_only=True)
class ElfStyle:
    """How the container looks.

    `bits`: class, by default the kernel's word size. `byteorder`: of the container when it is not the kernel's.
    `qemu`: as QEMU writes it: section headers before the program headers, p_vaddr = p_paddr, no kernel-text segment.
    `headers`: fill up with PT_NULL to so many program headers; from 0xffff on section header 0 has their number.
    """

    bits: Literal[32, 64] | None = None
    byteorder: Literal["little", "big"] | None = None
    qemu: bool = False
    headers: int = 0
    alignment: int = 4096


def segments_of(vmcore: Vmcore, style: ElfStyle) -> tuple[Segment, ...]:
    """The PT_LOADs in this style."""
    if not style.qemu:
        return vmcore.segments
    return tuple(replace(segment, vaddr=segment.paddr) for segment in vmcore.segments if not vmcore.is_image(segment))


@dataclass(frozen=True)
class Plan:
    """Where everything goes in the file."""

    order: str
    bits: int
    phoff: int
    shoff: int
    shnum: int
    count: int
    note_offset: int
    places: tuple[tuple[int, Segment], ...]
    end: int


def plan(vmcore: Vmcore, style: ElfStyle, note_size: int) -> Plan:
    """Lay the file out."""
    segments = segments_of(vmcore, style)
    bits = style.bits or vmcore.spec.bits
    ehsize, phsize, shsize = (64, 56, 64) if bits == 64 else (52, 32, 40)
    count = max(1 + len(segments), style.headers)
    extended = count >= PN_XNUM
    if extended and bits == 32:
        raise ValueError("ELF32 has no extended numbering in the dumps that are read here")
    if style.qemu:
        shoff, shnum = ehsize, 2
        phoff = shoff + shnum * shsize
        note_offset = phoff + count * phsize
    else:
        phoff = ehsize
        shoff, shnum = (phoff + count * phsize, 1) if extended else (0, 0)
        note_offset = phoff + count * phsize + shnum * shsize
    offset = note_offset + note_size
    places = []
    for segment in segments:
        offset = -(-offset // style.alignment) * style.alignment
        places.append((offset, segment))
        offset += segment.filesz
    order = "<" if (style.byteorder or vmcore.byteorder) == "little" else ">"
    return Plan(order, bits, phoff, shoff, shnum, count, note_offset, tuple(places), offset)


def write_elf(vmcore: Vmcore, path: Path, style: ElfStyle) -> Path:
    """Write `vmcore` to `path`, which is returned."""
    notes = vmcore.notes(style.byteorder)
    with path.open("wb") as file:
        layout = write_headers(vmcore, file, style, notes)
        for position, segment in layout.places:
            for paddr, data in pages_of(vmcore, segment.paddr, segment.paddr + segment.filesz):
                if data.count(0) != len(data):
                    file.seek(position + paddr - segment.paddr)
                    file.write(data)
    return path


def write_headers(vmcore: Vmcore, file: BinaryIO, style: ElfStyle, notes: bytes) -> Plan:
    """Write all but the segments' data, which become a hole."""
    layout = plan(vmcore, style, len(notes))
    order, bits, count = layout.order, layout.bits, layout.count
    table = _phdr(order, bits, PT_NOTE, layout.note_offset, Segment(0, 0, len(notes), len(notes)))
    table += b"".join(_phdr(order, bits, PT_LOAD, offset, segment) for offset, segment in layout.places)
    table += bytes((count - 1 - len(layout.places)) * (56 if bits == 64 else 32))
    code = f"{order}{'IIQQQQIIQQ' if bits == 64 else 'IIIIIIIIII'}"
    sections = struct.pack(code, 0, 0, 0, 0, 0, layout.shnum, 0, count, 0, 0) if layout.shnum else b""
    header = _ehdr(layout, vmcore.spec.e_machine)
    for position, data in ((0, header), (layout.shoff, sections), (layout.phoff, table), (layout.note_offset, notes)):
        if data:
            file.seek(position)
            file.write(data)
    file.truncate(layout.end)
    return layout


def _ehdr(layout: Plan, machine: int) -> bytes:
    order, phnum = layout.order, min(layout.count, PN_XNUM)
    ident = b"\x7fELF" + bytes([layout.bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    sizes = (64, 56, phnum, 64, layout.shnum, 0) if layout.bits == 64 else (52, 32, phnum, 40, layout.shnum, 0)
    word = "Q" if layout.bits == 64 else "I"
    return ident + struct.pack(
        f"{order}HHI{word}{word}{word}I6H", 4, machine, 1, 0, layout.phoff, layout.shoff, 0, *sizes
    )


def _phdr(order: str, bits: int, kind: int, offset: int, segment: Segment) -> bytes:
    flags = 7 if kind == PT_LOAD else 0
    addresses = (segment.vaddr, segment.paddr, segment.filesz, segment.memsz)
    if bits == 64:
        return struct.pack(f"{order}IIQQQQQQ", kind, flags, offset, *addresses, 0)
    return struct.pack(f"{order}IIIIIIII", kind, offset, *(value & 0xFFFFFFFF for value in addresses), flags, 0)


def pages_of(vmcore: Vmcore, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The memory from `start` to `end` in pieces that don't cross pages: physical address and bytes."""
    size = vmcore.page_size
    while start < end:
        pfn, offset = divmod(start, size)
        stop = min(end, (pfn + 1) * size)
        yield start, vmcore.page(pfn)[offset : stop - pfn * size]
        start = stop
