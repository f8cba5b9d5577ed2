# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads an ELF vmcore: segments, VMCOREINFO, physical and virtual memory. Plain loops, no caches worth the name."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from oracle.walkers import WALKERS
from oracle.wide_walkers import arm64, ppc64, riscv64, s390x

PRESENT, LARGE, ADDRESS = 1, 1 << 7, 0x000FFFFFFFFFF000
EM_X86_64, EM_ARM = 62, 40
EM_32_BITS = (3, 20, EM_ARM)
ALL_WALKERS = WALKERS | {21: ppc64, 22: s390x, 183: arm64, 243: riscv64}


@dataclass(frozen=True)
class Load:
    """A PT_LOAD."""

    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int


@dataclass(frozen=True)
class Info:
    """The lines of VMCOREINFO; every accessor gives None for what is absent."""

    lines: dict[str, str]

    def symbol(self, name: str) -> int | None:
        """A symbol's address."""
        text = self.lines.get(f"SYMBOL({name})")
        return None if text is None else int(text, 16)

    def value(self, key: str) -> int | None:
        """The number behind SIZE(x), OFFSET(x), LENGTH(x) or NUMBER(x)."""
        text = self.lines.get(key)
        return None if text is None else int(text, 0)

    def offset(self, name: str) -> int | None:
        """OFFSET(name)."""
        return self.value(f"OFFSET({name})")

    def number(self, name: str) -> int | None:
        """NUMBER(name)."""
        return self.value(f"NUMBER({name})")

    def size(self, name: str) -> int:
        """SIZE(name), which must be there."""
        return int(self.lines[f"SIZE({name})"])

    @property
    def release(self) -> tuple[int, ...]:
        """The first two numbers of the release."""
        numbers = self.lines["OSRELEASE"].split("-")[0].split(".")
        return tuple(int("".join(c for c in number if c.isdigit()) or 0) for number in numbers[:3])


@dataclass(frozen=True)
class Image:
    """An ELF vmcore, mapped or in memory."""

    data: bytes | mmap.mmap
    linear_base: int | None = None
    translated: dict[int, int] = field(default_factory=dict)

    @cached_property
    def byteorder(self) -> Literal["little", "big"]:
        """Byte order of file and memory."""
        return "little" if self.data[5] == 1 else "big"

    @cached_property
    def bits(self) -> int:
        """ELF class."""
        return 64 if self.data[4] == 2 else 32

    @property
    def word(self) -> int:
        """Bytes of the kernel's unsigned long, which QEMU's headers don't tell."""
        return 4 if self.machine in EM_32_BITS else self.bits // 8

    @cached_property
    def first_paddr(self) -> int:
        """The physical address of page frame 0: on arm, where memory begins."""
        return self.first_load() if self.machine == EM_ARM else 0

    def at(self, offset: int, width: int) -> int:
        """An unsigned number of the file."""
        return int.from_bytes(self.data[offset : offset + width], self.byteorder)

    @cached_property
    def machine(self) -> int:
        """e_machine."""
        return self.at(18, 2)

    @cached_property
    def headers(self) -> list[tuple[int, Load]]:
        """All program headers: type and fields."""
        wide = self.bits == 64
        phoff, shoff = (self.at(32, 8), self.at(40, 8)) if wide else (self.at(28, 4), self.at(32, 4))
        entry, count = (self.at(54, 2), self.at(56, 2)) if wide else (self.at(42, 2), self.at(44, 2))
        if count == 0xFFFF:
            count = self.at(shoff + 44, 4)
        places = (8, 16, 24, 32, 40) if wide else (4, 8, 12, 16, 20)
        width = 8 if wide else 4
        return [
            (self.at(start, 4), Load(*(self.at(start + place, width) for place in places)))
            for start in range(phoff, phoff + entry * count, entry)
        ]

    @cached_property
    def loads(self) -> list[Load]:
        """The PT_LOADs, in the file's order."""
        return [load for kind, load in self.headers if kind == 1]

    @cached_property
    def info(self) -> Info | None:
        """VMCOREINFO of the last PT_NOTE, if it has any."""
        found = None
        for kind, segment in self.headers:
            position, end = segment.offset, segment.offset + segment.filesz
            while kind == 4 and position + 12 <= end:
                namesz, descsz = self.at(position, 4), self.at(position + 4, 4)
                name = self.data[position + 12 : position + 12 + namesz]
                desc = position + 12 + (namesz + 3) // 4 * 4
                if name == b"VMCOREINFO\0":
                    found = self.data[desc : desc + descsz].decode()
                position = desc + (descsz + 3) // 4 * 4
        if found is None:
            return None
        return Info(dict(line.split("=", 1) for line in reversed(found.splitlines()) if "=" in line))

    def is_there(self, paddr: int) -> bool:
        """Whether the file has data for this physical address."""
        return any(load.paddr <= paddr < load.paddr + load.filesz for load in self.loads)

    def physical(self, paddr: int, size: int) -> bytes:
        """Read physical memory."""
        for load in self.loads:
            if load.paddr <= paddr < load.paddr + load.filesz:
                start = load.offset + paddr - load.paddr
                piece = self.data[start : start + min(size, load.paddr + load.filesz - paddr)]
                return piece if len(piece) == size else piece + self.physical(paddr + len(piece), size - len(piece))
        raise LookupError(f"no physical memory at {paddr:#x}")

    def page(self, paddr: int, size: int) -> bytes:
        """A page of the memory; what no segment has is zero."""
        return (
            b"".join(self.physical(byte, 1) if self.is_there(byte) else b"\0" for byte in range(paddr, paddr + size))
            if not (self.is_there(paddr) and self.is_there(paddr + size - 1))
            else self.physical(paddr, size)
        )

    def read(self, vaddr: int, size: int) -> bytes:
        """Read virtual memory."""
        out = b""
        while len(out) < size:
            here = vaddr + len(out)
            page, offset = here & ~0xFFF, here & 0xFFF
            if page not in self.translated:
                self.translated[page] = self.translate(page)
            out += self.physical(self.translated[page] + offset, min(size - len(out), 0x1000 - offset))
        return out

    def number(self, vaddr: int, width: int) -> int:
        """An unsigned number in virtual memory."""
        return int.from_bytes(self.read(vaddr, width), self.byteorder)

    def pointer(self, vaddr: int) -> int:
        """An unsigned long in virtual memory."""
        return self.number(vaddr, self.word)

    def translate(self, vaddr: int) -> int:
        """Physical address of a virtual one."""
        if self.machine == EM_X86_64:
            return self._walk(vaddr)
        if self.linear_base is not None:
            return vaddr - self.linear_base
        walker = ALL_WALKERS.get(self.machine)
        if walker:
            return walker(self, vaddr)
        found = self.by_load(vaddr)
        if found is None:
            raise LookupError(f"no segment at {vaddr:#x}")
        return found

    def by_load(self, vaddr: int) -> int | None:
        """Physical address of a virtual one by the first segment that has it."""
        for load in self.loads:
            if load.vaddr <= vaddr < load.vaddr + load.memsz:
                return load.paddr + vaddr - load.vaddr
        return None

    def first_load(self) -> int:
        """The lowest physical address."""
        return min(load.paddr for load in self.loads)

    def line(self, key: str) -> str | None:
        """A line of VMCOREINFO."""
        return self.info.lines.get(key) if self.info else None

    def number_at(self, paddr: int, width: int) -> int:
        """An unsigned number in physical memory."""
        return int.from_bytes(self.physical(paddr, width), self.byteorder)

    @cached_property
    def phys_base(self) -> int:
        """x86_64: what moves the kernel image from where it was linked."""
        assert self.info is not None
        base = self.info.number("phys_base")
        if base is not None:
            return base
        return next(
            (load.paddr - (load.vaddr & 0x7FFFFFFF) for load in self.loads if load.vaddr >> 31 == 0x1FFFFFFFF), 0
        )

    def _walk(self, vaddr: int) -> int:
        assert self.info is not None
        root = self.info.symbol("init_level4_pgt") or self.info.symbol("init_top_pgt")
        assert root is not None
        sme = self.info.number("sme_mask") or 0
        table = root - 0xFFFFFFFF80000000 + self.phys_base
        for shift in (48, 39, 30, 21, 12) if self.info.number("pgtable_l5_enabled") else (39, 30, 21, 12):
            entry = int.from_bytes(self.physical(table + (vaddr >> shift & 511) * 8, 8), "little") & ~sme
            if not entry & PRESENT:
                raise LookupError(f"{vaddr:#x} is not mapped")
            if shift == 12 or (shift <= 30 and entry & LARGE):
                return (entry & ADDRESS & -(1 << shift)) + (vaddr & ((1 << shift) - 1))
            table = entry & ADDRESS
        raise AssertionError("a walk ends at 12")


def open_image(source: bytes | str | Path, linear_base: int | None = None) -> Image:
    """The vmcore in a file, or in `bytes`; `linear_base`: virtual minus physical address without page tables."""
    if isinstance(source, bytes):
        return Image(source, linear_base)
    with Path(source).open("rb") as file:
        return Image(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), linear_base)
