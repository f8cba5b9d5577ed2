# SPDX-License-Identifier: GPL-2.0-or-later
"""The array of struct pages in its pieces: where each struct page is, virtually and physically."""

from __future__ import annotations

from dataclasses import dataclass

from factory.memory import Memory


@dataclass(frozen=True)
class Piece:
    """Struct pages of the page frames [pfn_start, pfn_end), at virtual `address` (0: none)."""

    pfn_start: int
    pfn_end: int
    address: int


@dataclass(frozen=True)
class MemMap:
    """All pieces. In a vmemmap `blocks` maps virtual blocks of `step` bytes to physical ones; else all is `direct`."""

    memory: Memory
    size: int
    pieces: tuple[Piece, ...]
    direct: int
    step: int
    blocks: dict[int, int]

    def address(self, pfn: int) -> int:
        """Virtual address of a struct page."""
        for piece in self.pieces:
            if piece.pfn_start <= pfn < piece.pfn_end:
                return piece.address + (pfn - piece.pfn_start) * self.size
        raise ValueError(f"pfn {pfn:#x} has no struct page")

    def write(self, pfn: int, data: bytes, offset: int = 0) -> None:
        """Write from `offset` into the struct page of `pfn` on."""
        address = self.address(pfn) + offset
        if not self.blocks:
            self.memory.write(address - self.direct, data)
            return
        done = 0
        while done < len(data):
            block, within = divmod(address + done, self.step)
            piece = data[done : done + self.step - within]
            self.memory.write(self.blocks[block] + within, piece)
            done += len(piece)
