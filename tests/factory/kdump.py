# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes kdump-compressed dumps: header versions 1 to 6, both 32-bit layouts and the 64-bit one, both byte orders."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from factory.vmcore import Vmcore

# sub header by version: `packed` (64-bit machines, and i386, which aligns 8-byte integers to 4) in members
_MEMBERS: tuple[tuple[int, str, str], ...] = (
    (1, "phys_base", "L"),
    (1, "dump_level", "i"),
    (2, "split", "i"),
    (2, "start_pfn", "L"),
    (2, "end_pfn", "L"),
    (3, "offset_vmcoreinfo", "Q"),
    (3, "size_vmcoreinfo", "L"),
    (4, "offset_note", "Q"),
    (4, "size_note", "L"),
    (5, "offset_eraseinfo", "Q"),
    (5, "size_eraseinfo", "L"),
    (6, "start_pfn_64", "Q"),
    (6, "end_pfn_64", "Q"),
    (6, "max_mapnr_64", "Q"),
)


@dataclass(frozen=True, kw_only=True)
class KdumpStyle:
    """How the dump looks.

    `padded` (32-bit only): 8-byte integers aligned to 8, as on arm. `excluded`: page frames left out.
    `split`: the file holds only the pages of [first, end) but all bitmaps.
    `level`: with bit 1 all pages of zeros share the first page's data.
    """

    version: int = 6
    bits: Literal[32, 64] | None = None
    padded: bool = False
    zlib: bool = False
    level: int = 0
    excluded: Collection[int] = ()
    split: tuple[int, int] | None = None
    eraseinfo: bytes = b""


def sub_header(style: KdumpStyle, bits: int, order: str, values: dict[str, int]) -> bytes:
    """The members that the version has, each at its natural place."""
    out = bytearray()
    for since, name, code in _MEMBERS:
        if since > style.version:
            break
        width = {"L": bits // 8, "i": 4, "Q": 8}[code]
        align = 4 if code == "Q" and bits == 32 and not style.padded else width
        out += bytes(-len(out) % align)
        value = values.get(name, 0) & ((1 << 8 * width) - 1)
        out += value.to_bytes(width, "little" if order == "<" else "big")
    if bits == 64 or style.padded:
        out += bytes(-len(out) % 8)
    return bytes(out)


def main_header(vmcore: Vmcore, style: KdumpStyle, bits: int, order: str, sub_blocks: int, bitmap_blocks: int) -> bytes:
    """The main header, 464 or 452 bytes."""
    head = b"KDUMP   " + struct.pack(f"{order}i", style.version) + vmcore_utsname(vmcore)
    head += bytes(6 if bits == 64 else 2)
    head += struct.pack(f"{order}qq" if bits == 64 else f"{order}ii", vmcore.spec.crashtime or 0, 0)
    return head + struct.pack(
        f"{order}IiiIIIIIIi",
        1 if style.zlib else 0,
        vmcore.page_size,
        sub_blocks,
        bitmap_blocks,
        min(vmcore.max_mapnr, 0xFFFFFFFF),
        0,
        0,
        0,
        0,
        vmcore.spec.cpus,
    )


def vmcore_utsname(vmcore: Vmcore) -> bytes:
    """struct new_utsname: six fields of 65 bytes."""
    spec = vmcore.spec
    fields = ("Linux", "factory", spec.release, "#1 SMP factory", spec.utsname_machine, "(none)")
    return b"".join(field.encode().ljust(65, b"\0") for field in fields)


def bitmap(pfns: Collection[int], size: int) -> bytes:
    """One bit for each page frame, lowest first."""
    out = bytearray(size)
    for pfn in pfns:
        out[pfn >> 3] |= 1 << (pfn & 7)
    return bytes(out)


def write_kdump(vmcore: Vmcore, path: Path, style: KdumpStyle) -> Path:
    """Write `vmcore` to `path`, which is returned."""
    bits = style.bits or vmcore.spec.bits
    order = "<" if vmcore.byteorder == "little" else ">"
    size = vmcore.page_size
    present = [pfn for pfn in vmcore.ram_pfns if pfn < vmcore.max_mapnr]
    excluded = set(style.excluded) | _without_data(vmcore)
    dumped = [pfn for pfn in present if pfn not in excluded]
    first, end = style.split or (0, vmcore.max_mapnr)
    notes = vmcore.notes() if style.version >= 4 else vmcore.vmcoreinfo.encode() if style.version == 3 else b""
    sub_size = len(sub_header(style, bits, order, {}))
    sub_blocks = -(-(sub_size + len(notes)) // size)
    bitmap_size = -(-vmcore.max_mapnr // (8 * size)) * size
    descriptors = (1 + sub_blocks) * size + 2 * bitmap_size
    zero = bytes(size)
    data = bytearray(zero if style.level & 1 else b"")
    data_offset = descriptors + 24 * len(dumped)
    table = bytearray()
    for pfn in dumped:
        if not first <= pfn < end:
            continue
        page = vmcore.page(pfn)
        if style.level & 1 and page == zero:
            table += struct.pack(f"{order}qIIQ", data_offset, size, 0, 0)
            continue
        packed = zlib.compress(page, 1) if style.zlib else page
        flags = 1 if len(packed) < size else 0
        packed = packed if flags else page
        table += struct.pack(f"{order}qIIQ", data_offset + len(data), len(packed), flags, 0)
        data += packed
    info = vmcore.vmcoreinfo.encode() if vmcore.spec.vmcoreinfo else b""
    note_offset = size + sub_size
    values = {
        "phys_base": vmcore.machine.phys_base,
        "dump_level": style.level,
        "split": int(style.split is not None),
        "start_pfn": first if style.split else 0,
        "end_pfn": end if style.split else 0,
        "start_pfn_64": first if style.split else 0,
        "end_pfn_64": end if style.split else 0,
        "offset_vmcoreinfo": note_offset + notes.index(info) if info and info in notes else 0,
        "size_vmcoreinfo": len(info),
        "offset_note": note_offset if notes else 0,
        "size_note": len(notes),
        "offset_eraseinfo": data_offset + len(data) if style.eraseinfo else 0,
        "size_eraseinfo": len(style.eraseinfo),
        "max_mapnr_64": vmcore.max_mapnr,
    }
    with path.open("wb") as file:
        for position, piece in (
            (0, main_header(vmcore, style, bits, order, sub_blocks, 2 * bitmap_size // size)),
            (size, sub_header(style, bits, order, values) + notes),
            ((1 + sub_blocks) * size, bitmap(present, bitmap_size) + bitmap(dumped, bitmap_size)),
            (descriptors, bytes(table)),
            (data_offset, bytes(data) + style.eraseinfo),
        ):
            file.seek(position)
            file.write(piece)
        file.truncate(data_offset + len(data) + len(style.eraseinfo))
    return path


def _without_data(vmcore: Vmcore) -> set[int]:
    size = vmcore.page_size
    return {
        pfn
        for ram in vmcore.spec.ram
        for pfn in range(-(-(ram.start + ram.size_in_file) // size), -(-ram.end // size))
        if ram.size_in_file < ram.end - ram.start
    }
