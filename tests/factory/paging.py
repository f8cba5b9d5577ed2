# SPDX-License-Identifier: GPL-2.0-or-later
"""x86_64 page tables, four or five levels, with leaves of 1 GiB, 2 MiB or 4 KiB."""

from __future__ import annotations

from dataclasses import dataclass

from factory.memory import Memory
from factory.spec import Leaf

TABLE = 0x63  # present, writable, accessed, dirty
LARGE = 0x80
NO_EXECUTE = 1 << 63
ADDRESS = 0x000FFFFFFFFFF000
SHIFTS: dict[Leaf, int] = {"1G": 30, "2M": 21, "4K": 12}


@dataclass(frozen=True)
class PageTables:
    """The tables below one root table, growing as ranges are mapped."""

    memory: Memory
    root: int
    levels: int
    sme_mask: int = 0

    def map(self, vaddr: int, paddr: int, size: int, leaf: Leaf) -> None:
        """Map at least [vaddr, vaddr + size) to [paddr, ...) with leaves of one size."""
        shift = SHIFTS[leaf]
        step = 1 << shift
        if (vaddr - paddr) % step:
            raise ValueError(f"{vaddr:#x} -> {paddr:#x} can't be mapped by {leaf} pages")
        start, end = vaddr // step * step, vaddr + size
        paddr -= vaddr - start
        for offset in range(0, end - start, step):
            self._leaf(start + offset, paddr + offset, shift)

    def _leaf(self, vaddr: int, paddr: int, leaf_shift: int) -> None:
        table = self.root
        for shift in range(12 + 9 * (self.levels - 1), leaf_shift, -9):
            slot = table + ((vaddr >> shift) & 511) * 8
            entry = int.from_bytes(self.memory.read(slot, 8), "little")
            if not entry & 1:
                entry = self.memory.allocate(4096) | TABLE | self.sme_mask
                self.memory.write_integer(slot, entry, 8)
            if entry & LARGE:
                raise ValueError(f"{vaddr:#x} is mapped by a larger page already")
            table = entry & ADDRESS & ~self.sme_mask
        large = LARGE if leaf_shift > 12 else 0
        self.memory.write_integer(
            table + ((vaddr >> leaf_shift) & 511) * 8, paddr | TABLE | large | self.sme_mask | NO_EXECUTE, 8
        )
