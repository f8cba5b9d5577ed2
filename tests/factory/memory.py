# SPDX-License-Identifier: GPL-2.0-or-later
"""The physical memory of a machine while it is built, and what lies in its pages."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache

from factory.kinds import Content
from factory.layout import ByteOrder

_WORDS = "page list lock inode dentry super block mount name file task cpu irq timer node zone".split()


def content(kind: Content, pfn: int, size: int) -> bytes:
    """The bytes of page `pfn`; the same at every call."""
    if kind is Content.ZERO:
        return bytes(size)
    if kind is Content.NUMBER:
        return ((pfn + 1) & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little") * (size // 8)
    if kind is Content.CONSTANT:
        return bytes([pfn % 255 + 1]) * size
    return random.Random(pfn).randbytes(size) if kind is Content.RANDOM else _text(pfn, size)


@lru_cache(maxsize=1 << 12)
def _text(pfn: int, size: int) -> bytes:
    source = random.Random(pfn)
    text = " ".join(f"{source.choice(_WORDS)}={source.getrandbits(16):x}" for _ in range(size // 6))
    return text.encode()[:size].ljust(size, b"\n")


@dataclass(frozen=True)
class Memory:
    """Pages that the factory itself writes; `free` gives kernel pages away, lowest first."""

    page_size: int
    byteorder: ByteOrder
    word: int
    pages: dict[int, bytearray] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)

    def allocate(self, size: int, align: int = 1) -> int:
        """Physical address of `size` zeroed bytes in consecutive kernel pages, aligned to `align` bytes."""
        count = -(-size // self.page_size)
        step = max(1, align // self.page_size)
        start = 0
        while start < len(self.free):
            first = self.free[start]
            last = start + count - 1
            if last < len(self.free) and first % step == 0 and self.free[last] - first == count - 1:
                del self.free[start : last + 1]
                self.pages.update((pfn, bytearray(self.page_size)) for pfn in range(first, first + count))
                return first * self.page_size
            start += 1
        raise ValueError(f"the memory is too small: no room for {size} bytes of kernel data aligned to {align}")

    def write(self, paddr: int, data: bytes) -> None:
        """Write to allocated pages."""
        done = 0
        while done < len(data):
            pfn, offset = divmod(paddr + done, self.page_size)
            piece = data[done : done + self.page_size - offset]
            self.pages[pfn][offset : offset + len(piece)] = piece
            done += len(piece)

    def read(self, paddr: int, size: int) -> bytes:
        """Read from allocated pages."""
        out = bytearray()
        while len(out) < size:
            pfn, offset = divmod(paddr + len(out), self.page_size)
            out += self.pages[pfn][offset : min(self.page_size, offset + size - len(out))]
        return bytes(out)

    def write_word(self, paddr: int, value: int) -> None:
        """Write an unsigned long."""
        self.write_integer(paddr, value, self.word)

    def write_integer(self, paddr: int, value: int, width: int) -> None:
        """Write an unsigned integer of `width` bytes."""
        self.write(paddr, (value & ((1 << 8 * width) - 1)).to_bytes(width, self.byteorder))
