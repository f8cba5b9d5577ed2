# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of making dumps need: dumps made of machines, and a second reading of them."""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factory import ElfStyle, Vmcore
from linear import Linear
from mdf.capture import Options, capture
from mdf.capture.analysis import LinuxAnalysis
from mdf.capture.report import Report
from mdf.core.arch import ARCHITECTURES, Architecture
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Messages

_COUNTERS = "original zero cache cache_private user free hwpoison offline".split()


def architectures(core: Vmcore) -> dict[str, Architecture]:
    """The registry with the machine of `core` in it."""
    if core.spec.arch != "linear":
        return dict(ARCHITECTURES)

    def machine(dump: Dump, info: Vmcoreinfo) -> Linear:
        return Linear(core.machine.direct, core.bits, core.spec.physmem_bits, core.spec.section_bits)

    return {core.spec.utsname_machine: Architecture(machine, lambda dump, info: 0)}


def dump_of(
    core: Vmcore, vmcore: Path, dumpfile: Path, level: int, messages: Messages | None = None, **options: Any
) -> Report:
    """Makes a dump of the file `vmcore` that holds the memory of `core`; an older dump is overwritten."""
    chosen = Options(vmcore, dumpfile, dump_levels=(level,), force=True, **options)
    return capture(chosen, messages, LinuxAnalysis(architectures(core)))


def elf_of(core: Vmcore, folder: Path, style: ElfStyle | None = None) -> Path:
    """The ELF vmcore of `core` in `folder`, written once."""
    path = folder / "vmcore"
    return path if path.exists() else core.elf(path, style)


def command(*arguments: object) -> list[str]:
    """The command in a process of its own."""
    return [
        sys.executable,
        "-c",
        "import sys; from mdf.capture.cli import main; sys.exit(main())",
        *map(str, arguments),
    ]


def counters(report: Any) -> dict[str, int]:
    """The counters of a report, or of the oracle's."""
    return {name: getattr(report, name) for name in _COUNTERS}


def pfns_of(bitmap: bytes) -> set[int]:
    """The page frames whose bits are set."""
    return {8 * at + bit for at, byte in enumerate(bitmap) if byte for bit in range(8) if byte >> bit & 1}


# Offset and struct code of each field by its layout: 64 bits, 32 bits with 8-byte integers aligned to 4, and to 8.
_MAIN = {64: ("tv_sec", 408, "qqIiiIIIIIIi"), 32: ("tv_sec", 404, "iiIiiIIIIIIi")}
_MAIN_NAMES = (
    "tv_sec tv_usec status block_size sub_hdr_size bitmap_blocks max_mapnr total_ram_blocks device_blocks"
    " written_blocks current_cpu nr_cpus"
).split()
_SUB_NAMES = (
    "phys_base dump_level split start_pfn end_pfn offset_vmcoreinfo size_vmcoreinfo offset_note size_note"
    " offset_eraseinfo size_eraseinfo start_pfn_64 end_pfn_64 max_mapnr_64"
).split()
_SUB_WIDTHS = {64: "QiiQQqQqQqQQQQ", 32: "IiiIIqIqIqIQQQ"}
_SUB_OFFSETS = {
    "64": (0, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96),
    "packed": (0, 4, 8, 12, 16, 20, 28, 32, 40, 44, 52, 56, 64, 72),
    "padded": (0, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88),
}
_SUB_SIZES = {"64": 104, "packed": 80, "padded": 96}


@dataclass(frozen=True)
class Descriptor:
    """A page descriptor."""

    offset: int
    size: int
    flags: int
    page_flags: int


class DumpFile:
    """A kdump-compressed dump as bytes, read by the tables of the format: `layout` is 64, packed or padded."""

    def __init__(self, path: Path, layout: str = "64", order: str = "<") -> None:
        self.data = data = path.read_bytes()
        bits = 64 if layout == "64" else 32
        _, offset, code = _MAIN[bits]
        self.main: dict[str, int] = dict(zip(_MAIN_NAMES, struct.unpack_from(order + code, data, offset), strict=True))
        self.version = struct.unpack_from(f"{order}i", data, 8)[0]
        self.utsname = data[12:402]
        block = self.main["block_size"]
        self.sub: dict[str, int] = {
            name: struct.unpack_from(order + width, data, block + at)[0]
            for name, width, at in zip(_SUB_NAMES, _SUB_WIDTHS[bits], _SUB_OFFSETS[layout], strict=True)
        }
        self.sub_size = _SUB_SIZES[layout]
        bitmaps = (1 + self.main["sub_hdr_size"]) * block
        half = self.main["bitmap_blocks"] // 2 * block
        self.bitmap1 = data[bitmaps : bitmaps + half]
        self.bitmap2 = data[bitmaps + half : bitmaps + 2 * half]
        self.pfns = sorted(pfns_of(self.bitmap2))
        first = bitmaps + 2 * half
        self.data_offset = first + 24 * len(self.pfns)
        self.descriptors = {
            pfn: Descriptor(*struct.unpack_from(f"{order}qIIQ", data, at))
            for pfn, at in zip(self.pfns, range(first, self.data_offset, 24), strict=True)
            if at + 24 <= len(data)
        }

    def page(self, pfn: int) -> bytes:
        """The bytes of a page."""
        descriptor = self.descriptors[pfn]
        stored = self.data[descriptor.offset : descriptor.offset + descriptor.size]
        return zlib.decompress(stored) if descriptor.flags & 1 else stored
