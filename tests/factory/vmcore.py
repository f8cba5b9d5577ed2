# SPDX-License-Identifier: GPL-2.0-or-later
"""A finished machine: everything a test wants to know about it, and the files that can be written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from factory.elf import ElfStyle, Segment, write_elf
from factory.generation import Compound
from factory.kdump import KdumpStyle, write_kdump
from factory.kinds import FREE, Content, Hugetlb, Hwpoison, Kind, Offline, Placement
from factory.layout import ByteOrder
from factory.machine import IMAGE_MAP, Machine, ram_pfns, top_pfn
from factory.memmap import MemMap, Piece
from factory.memory import content
from factory.notes import note_bytes, prstatus
from factory.qemu import write_qemu_kdump
from factory.spec import Note, Spec
from factory.structpages import NOT_COMPOUND


@dataclass(frozen=True)
class Vmcore:
    """The memory of a crashed machine, as declared by `spec` and laid out by the factory."""

    spec: Spec
    vmcoreinfo: str
    kinds: Mapping[int, Placement]
    machine: Machine
    mem_map: MemMap

    @property
    def page_size(self) -> int:
        """Bytes of a page."""
        return self.spec.page_size

    @property
    def byteorder(self) -> ByteOrder:
        """Byte order of the memory."""
        return self.spec.byteorder

    @property
    def bits(self) -> int:
        """Word size of the kernel."""
        return self.spec.bits

    @property
    def symbols(self) -> Mapping[str, int]:
        """Virtual addresses by name."""
        return self.machine.symbols

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces of the memory map."""
        return self.mem_map.pieces

    @property
    def ram_pfns(self) -> list[int]:
        """All page frames of RAM, partial ones and ones without file data included."""
        return ram_pfns(self.spec)

    @property
    def kernel_pfns(self) -> frozenset[int]:
        """Page frames that hold what the factory itself wrote: image, tables, struct pages."""
        return frozenset(self.machine.memory.pages)

    @property
    def top_pfn(self) -> int:
        """One past the highest page frame of RAM."""
        return top_pfn(self.spec)

    @property
    def max_mapnr(self) -> int:
        """The same, lowered to the end of the memory map where that is lower."""
        return min(self.top_pfn, max(piece.pfn_end for piece in self.pieces))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The PT_LOADs of a kdump kernel: the image first (x86_64), then RAM."""
        machine = self.machine
        image = Segment(machine.image, machine.image_paddr, machine.image_size, machine.image_size)
        text = (image,) if self.is_image(image) and self.spec.text_segment else ()
        return text + tuple(
            Segment(
                machine.virt(ram.start),
                ram.start,
                ram.size_in_file,
                ram.end - ram.start,
            )
            for ram in self.spec.ram
        )

    def is_image(self, segment: Segment) -> bool:
        """Whether a segment is the kernel's own mapping of its image, apart from the direct map."""
        if self.spec.form:
            return segment.vaddr == self.machine.image != self.machine.virt(self.machine.image_paddr)
        return self.machine.tables is not None and segment.vaddr >= IMAGE_MAP

    def notes(self, byteorder: ByteOrder | None = None) -> bytes:
        """The note segment, its numbers in the kernel's byte order or another one."""
        machine_notes = [prstatus(cpu, self.spec.bits) for cpu in range(self.spec.cpus)]
        info = [Note("VMCOREINFO", 0, self.vmcoreinfo.encode())] if self.spec.vmcoreinfo else []
        return b"".join(
            note_bytes(note, byteorder or self.byteorder) for note in (*machine_notes, *self.spec.notes, *info)
        )

    def page(self, pfn: int) -> bytes:
        """The bytes of one page of RAM."""
        written = self.machine.memory.pages.get(pfn)
        if written is not None:
            return bytes(written)
        placement = self.kinds.get(pfn)
        return content(placement.kind.content if placement else self.spec.default_content, pfn, self.page_size)

    def kind(self, pfn: int) -> Kind | None:
        """What a page frame was declared to be; None: the kernel's, by default."""
        placement = self.kinds.get(pfn)
        return placement.kind if placement else None

    def is_exported(self, key: str) -> bool:
        """Whether VMCOREINFO has a line for `key`."""
        return any(line.startswith(key + "=") for line in self.vmcoreinfo.splitlines())

    def is_scanned(self, level: int) -> bool:
        """Whether a filter looks at struct pages at this level (exclusion by ALWAYS kinds needs it)."""
        buddy = all(map(self.is_exported, ("OFFSET(page.private)", "OFFSET(page._mapcount)"))) and self.is_exported(
            "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"
        )
        return bool(level & 14 or self.is_exported("NUMBER(PG_hwpoison)") or (level & FREE and buddy))

    def excluded(self, level: int) -> frozenset[int]:
        """The page frames that a correct filter leaves out at `level`, from the declarations alone."""
        return frozenset(
            pfn for placement in self.spec.pages if self._drops(placement, level) for pfn in self._seen(placement)
        )

    def _drops(self, placement: Placement, level: int) -> bool:
        kind = placement.kind
        if isinstance(kind, Hwpoison):
            return self.is_scanned(level) and self.is_exported("NUMBER(PG_hwpoison)")
        if isinstance(kind, Offline):
            return self.is_scanned(level) and self.is_exported("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)")
        if isinstance(kind, Hugetlb) and not kind.anon and self.spec.generation.compound is Compound.LRU:
            return bool(level & kind.levels) and self.is_exported("SYMBOL(free_huge_page)")
        return bool(level & kind.levels)

    def _seen(self, placement: Placement) -> range:
        """The pages that a filter takes for one block."""
        is_long = self.spec.generation.compound is Compound.LRU
        if is_long and self.byteorder == "big" and not isinstance(placement.kind, NOT_COMPOUND):
            # before 4.4 the order is an unsigned long of which the first 16 bits are read
            return placement.pfns[:1]
        return placement.pfns

    def zero_pfns(self) -> frozenset[int]:
        """The page frames of RAM that hold zeros."""
        memory = self.machine.memory.pages
        zero = bytes(self.page_size)
        return frozenset(
            pfn
            for pfn in self.ram_pfns
            if (memory[pfn] == zero if pfn in memory else self._content(pfn) is Content.ZERO)
        )

    def _content(self, pfn: int) -> Content:
        kind = self.kind(pfn)
        return kind.content if kind else self.spec.default_content

    def elf(self, path: Path | str, style: ElfStyle | None = None) -> Path:
        """Write an ELF vmcore."""
        return write_elf(self, Path(path), style or ElfStyle())

    def kdump(self, path: Path | str, style: KdumpStyle | None = None) -> Path:
        """Write a kdump-compressed dump."""
        return write_kdump(self, Path(path), style or KdumpStyle())

    def qemu_kdump(self, path: Path | str) -> Path:
        """Write a kdump-compressed dump as QEMU does: a flattened stream."""
        return write_qemu_kdump(self, Path(path))
