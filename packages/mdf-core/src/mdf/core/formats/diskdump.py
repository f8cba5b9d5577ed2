# SPDX-License-Identifier: GPL-2.0-or-later
"""kdump-compressed records: main header, sub header, page descriptors.

The structures were written by the C compiler of the crashed machine's architecture, so their layout depends on its
word size, byte order, and the alignment of 8-byte integers: 64-bit machines, i386 (aligned to 4 bytes: "packed") and
the other 32-bit machines (aligned to 8: "padded").
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, fields
from functools import cached_property

from mdf.core.errors import FormatError
from mdf.core.formats.elf import ByteOrder, prefix

SIGNATURE = b"KDUMP   "
HEADER_VERSION = 6
UTSNAME_FIELD = 65
UTSNAME_SIZE = 6 * UTSNAME_FIELD
UTSNAME_RELEASE = 2
UTSNAME_MACHINE = 4
UINT32_MAX = 0xFFFFFFFF


class Flag(enum.IntFlag):
    """Bits of the main header's status; the compression bits are also a page descriptor's flags."""

    ZLIB = 0x01
    LZO = 0x02
    SNAPPY = 0x04
    INCOMPLETE = 0x08
    EXCLUDED_VMEMMAP = 0x10
    ZSTD = 0x20


COMPRESSIONS = Flag.ZLIB | Flag.LZO | Flag.SNAPPY | Flag.ZSTD


def utsname_field(utsname: bytes, number: int) -> str:
    """One of the six texts of the raw structure; empty if there is none."""
    field = utsname[number * UTSNAME_FIELD : (number + 1) * UTSNAME_FIELD]
    return field.split(b"\x00")[0].decode("ascii", "replace")


def names_kernel(utsname: bytes) -> bool:
    """Whether anything but the machine is there: a writer that does not know the kernel leaves the rest empty."""
    return any(utsname[: UTSNAME_MACHINE * UTSNAME_FIELD])


@dataclass(frozen=True)
class MainHeader:
    """The main header. `utsname` is the raw structure of the kernel; times are seconds and microseconds."""

    version: int
    utsname: bytes
    tv_sec: int
    tv_usec: int
    status: int
    block_size: int
    sub_hdr_size: int
    bitmap_blocks: int
    max_mapnr: int
    total_ram_blocks: int = 0
    device_blocks: int = 0
    written_blocks: int = 0
    current_cpu: int = 0
    nr_cpus: int = 0

    @property
    def machine(self) -> str:
        """utsname.machine; empty if the writer did not know the kernel."""
        return utsname_field(self.utsname, UTSNAME_MACHINE)


@dataclass(frozen=True)
class SubHeader:
    """The sub header. Members a header version does not have yet are 0. Page frame numbers are exclusive ends."""

    phys_base: int = 0
    dump_level: int = 0
    split: int = 0
    start_pfn: int = 0
    end_pfn: int = 0
    offset_vmcoreinfo: int = 0
    size_vmcoreinfo: int = 0
    offset_note: int = 0
    size_note: int = 0
    offset_eraseinfo: int = 0
    size_eraseinfo: int = 0
    start_pfn_64: int = 0
    end_pfn_64: int = 0
    max_mapnr_64: int = 0


# Each member of the sub header: its C type and the header version that brought it.
_SUB_MEMBERS = (
    ("long", 0),
    ("int", 1),
    ("int", 2),
    ("long", 2),
    ("long", 2),
    ("offset", 3),
    ("long", 3),
    ("offset", 4),
    ("long", 4),
    ("offset", 5),
    ("long", 5),
    ("u64", 6),
    ("u64", 6),
    ("u64", 6),
)


@dataclass(frozen=True)
class Layout:
    """How a machine's compiler lays the headers out. `align64` is the alignment of 8-byte integers."""

    bits: int
    align64: int
    byteorder: ByteOrder

    @property
    def long_size(self) -> int:
        """The size of `long` and of pointers in bytes."""
        return self.bits // 8

    @cached_property
    def main(self) -> struct.Struct:
        """The main header."""
        padding = "6x" if self.bits == 64 else "2x"
        time = "qq" if self.bits == 64 else "ii"
        return struct.Struct(f"{prefix(self.byteorder)}8si{UTSNAME_SIZE}s{padding}{time}IiiIIIIIIi")

    def sub(self, version: int = HEADER_VERSION) -> struct.Struct:
        """The sub header, up to the members of a header version."""
        codes = {
            "long": ("Q", 8) if self.bits == 64 else ("I", 4),
            "int": ("i", 4),
            "offset": ("q", 8),
            "u64": ("Q", 8),
        }
        layout, size, widest = prefix(self.byteorder), 0, self.long_size
        for kind, since in _SUB_MEMBERS:
            if since > version:
                continue
            code, width = codes[kind]
            align = min(width, self.align64) if width == 8 else width
            widest = max(widest, align)
            gap = -size % align
            layout += f"{gap}x{code}"
            size += gap + width
        return struct.Struct(f"{layout}{-size % widest}x")

    def parse_main(self, data: bytes) -> MainHeader:
        """The main header at the start of `data`."""
        return MainHeader(*self.main.unpack_from(data)[1:])

    def pack_main(self, header: MainHeader) -> bytes:
        """The main header as it is on disk."""
        return self.main.pack(SIGNATURE, *(getattr(header, field.name) for field in fields(header)))

    def parse_sub(self, data: bytes, version: int) -> SubHeader:
        """The sub header at the start of `data`, as far as `version` has it. Raises FormatError if it is truncated."""
        layout = self.sub(version)
        if len(data) < layout.size:
            raise FormatError("truncated in the sub header")
        return SubHeader(*layout.unpack_from(data))

    def pack_sub(self, header: SubHeader) -> bytes:
        """The sub header, of the current version, as it is on disk."""
        return self.sub().pack(*(getattr(header, field.name) for field in fields(header)))


def layouts() -> tuple[Layout, ...]:
    """The layouts to try for a dump, 32-bit ones first: a 64-bit dump does not pass as one of those."""
    orders: tuple[ByteOrder, ByteOrder] = ("little", "big")
    return tuple(Layout(bits, 4 if bits == 32 else 8, order) for bits in (32, 64) for order in orders)


def layout_for(bits: int, byteorder: ByteOrder, machine: str) -> Layout:
    """The layout that a dump of a machine is written in: only i386 aligns 8-byte integers to 4 bytes."""
    packed = bits == 32 and machine[:1] == "i" and machine.endswith("86")
    return Layout(bits, 4 if packed else 8, byteorder)


DESCRIPTOR_SIZE = 24


def descriptor_struct(byteorder: ByteOrder) -> struct.Struct:
    """A page descriptor: offset, size, flags, page_flags (always 0)."""
    return struct.Struct(prefix(byteorder) + "qIIQ")


def bitmap_blocks(max_mapnr: int, block_size: int) -> int:
    """The blocks that both bitmaps take."""
    return 2 * -(-max_mapnr // (8 * block_size))
