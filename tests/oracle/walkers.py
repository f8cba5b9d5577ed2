# SPDX-License-Identifier: GPL-2.0-or-later
"""Translation of virtual addresses machine by machine, each step written out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol


class Memory(Protocol):
    """What a walk needs of an image: its header, its VMCOREINFO and its memory."""

    @property
    def byteorder(self) -> str: ...

    def line(self, key: str) -> str | None:
        """A line of VMCOREINFO."""
        ...

    def first_load(self) -> int:
        """The lowest physical address."""
        ...

    def by_load(self, vaddr: int) -> int | None:
        """The physical address by the first segment that has the virtual one."""
        ...

    def number_at(self, paddr: int, width: int) -> int:
        """An unsigned number in physical memory."""
        ...


Walk = Callable[[Memory, int], int]


def swapper(memory: Memory) -> int:
    """The virtual address of the top table."""
    text = memory.line("SYMBOL(swapper_pg_dir)")
    assert text is not None
    return int(text, 16)


def page_shift(memory: Memory) -> int:
    """The page size, as a power of two."""
    return int(memory.line("PAGESIZE") or 0).bit_length() - 1


def release(memory: Memory) -> tuple[int, ...]:
    """The numbers of the kernel's release."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", memory.line("OSRELEASE") or "")
    assert numbers
    return tuple(int(number or 0) for number in numbers.groups())


def no(vaddr: int) -> LookupError:
    """What a walk raises."""
    return LookupError(f"{vaddr:#x} is not mapped")


def i386(memory: Memory, vaddr: int) -> int:
    """Intel's manual, volume 3, chapter 4."""
    top = swapper(memory) - 0xC0000000
    if memory.line("CONFIG_X86_PAE") != "y":
        entry = memory.number_at(top + (vaddr >> 22) * 4, 4)
        if not entry & 1:
            raise no(vaddr)
        if entry & 0x80:
            return (entry & 0xFFC00000) + (vaddr & 0x3FFFFF)
        entry = memory.number_at((entry & 0xFFFFF000) + (vaddr >> 12 & 1023) * 4, 4)
        if not entry & 1:
            raise no(vaddr)
        return (entry & 0xFFFFF000) + (vaddr & 0xFFF)
    entry = memory.number_at(top + (vaddr >> 30) * 8, 8)
    if not entry & 1:
        raise no(vaddr)
    entry = memory.number_at((entry & 0x000FFFFFFFFFF000) + (vaddr >> 21 & 511) * 8, 8)
    if not entry & 1:
        raise no(vaddr)
    if entry & 0x80:
        return (entry & 0x000FFFFFFFE00000) + (vaddr & 0x1FFFFF)
    entry = memory.number_at((entry & 0x000FFFFFFFFFF000) + (vaddr >> 12 & 511) * 8, 8)
    if not entry & 1:
        raise no(vaddr)
    return (entry & 0x000FFFFFFFFFF000) + (vaddr & 0xFFF)


def arm(memory: Memory, vaddr: int) -> int:
    """Short descriptors where they map the table itself, else long ones."""
    symbol = swapper(memory)
    top = symbol - 0xC0000000 + memory.first_load()
    try:
        is_short = _arm_short(memory, top, symbol) == top
    except LookupError:
        is_short = False
    return (_arm_short if is_short else _arm_long)(memory, top, vaddr)


def _arm_short(memory: Memory, top: int, vaddr: int) -> int:
    entry = memory.number_at(top + (vaddr >> 20) * 4, 4)
    if entry & 2:
        if entry >> 18 & 1:
            return (entry & 0xFF000000) + (vaddr & 0xFFFFFF)
        return (entry & 0xFFF00000) + (vaddr & 0xFFFFF)
    if entry & 3 == 0:
        raise no(vaddr)
    entry = memory.number_at((entry & 0xFFFFFC00) + (vaddr >> 12 & 255) * 4, 4)
    if entry & 2:
        return (entry & 0xFFFFF000) + (vaddr & 0xFFF)
    if entry & 1:
        return (entry & 0xFFFF0000) + (vaddr & 0xFFFF)
    raise no(vaddr)


def _arm_long(memory: Memory, top: int, vaddr: int) -> int:
    table = top
    for shift, mask in ((30, 3), (21, 511), (12, 511)):
        entry = memory.number_at(table + (vaddr >> shift & mask) * 8, 8)
        kind = entry & 3
        if kind == (3 if shift == 12 else 1):
            return (entry & 0xFFFFFFF000 & -(1 << shift)) + vaddr % (1 << shift)
        if kind != 3:
            raise no(vaddr)
        table = entry & 0xFFFFFFF000
    raise no(vaddr)


def loongarch64(memory: Memory, vaddr: int) -> int:
    """Windows, else tables; bit 6 of a directory's entry is a large page, bit 7 present."""
    if vaddr >> 62 == 2:
        return vaddr & 0x0FFFFFFFFFFFFFFF
    shift = page_shift(memory)
    wide = shift - 3
    table = swapper(memory) & 0xFFFFFFFFFFFF
    for covered in (shift + 2 * wide, shift + wide, shift):
        entry = memory.number_at(table + (vaddr >> covered) % (1 << wide) * 8, 8)
        if covered == shift or entry & 0xC0 == 0xC0:
            if not entry & 0x80:
                raise no(vaddr)
            return (entry & 0x0000FFFFFFFFF000 & -(1 << covered)) + vaddr % (1 << covered)
        if entry == 0 or entry % (1 << shift):
            raise no(vaddr)
        table = entry & 0x0000FFFFFFFFFFFF
    raise no(vaddr)


def mips64(memory: Memory, vaddr: int) -> int:
    """CKSEG0 and CKSEG1, XKPHYS, else tables."""
    if 0xFFFFFFFF80000000 <= vaddr < 0xFFFFFFFFC0000000:
        return vaddr & 0x1FFFFFFF
    if vaddr >> 62 == 2:
        return vaddr & 0x07FFFFFFFFFFFFFF
    shift = page_shift(memory)
    wide = shift - 3
    pfn_at = 14 + shift - 12 if release(memory) >= (5, 3) else 13 + shift - 12
    top = mips64(memory, swapper(memory))
    entry = memory.number_at(top + (vaddr >> shift + 2 * wide) % (1 << (wide + 1 if shift == 12 else wide)) * 8, 8)
    if entry == 0 or entry % (1 << shift):
        raise no(vaddr)
    entry = memory.number_at((entry & 0xFFFFFFFFFFFF) + (vaddr >> shift + wide) % (1 << wide) * 8, 8)
    if entry & 0x11 == 0x11:
        size = 1 << shift + wide
        return ((entry >> pfn_at << shift) & -size) + vaddr % size
    if entry == 0 or entry % (1 << shift):
        raise no(vaddr)
    entry = memory.number_at((entry & 0xFFFFFFFFFFFF) + (vaddr >> shift) % (1 << wide) * 8, 8)
    if not entry & 1:
        raise no(vaddr)
    return (entry >> pfn_at << shift) + vaddr % (1 << shift)


def sparc64(memory: Memory, vaddr: int) -> int:
    """Segments, else tables of a page of 8 KiB each."""
    found = memory.by_load(vaddr)
    if found is not None:
        return found
    table = memory.by_load(swapper(memory))
    assert table is not None
    four = release(memory) >= (3, 8, 13)
    for shift in (43, 33, 23, 13) if four else (33, 23, 13):
        entry = memory.number_at(table + (vaddr >> shift & 1023) * 8, 8)
        valid = entry >> 63 or entry >> 4 & 1
        huge = shift in ((33, 23) if four else (23,)) and entry >> 56 & 1
        if (shift == 13 and valid) or huge:
            return (entry & 0x00FFFFFFFFFFE000 & -(1 << shift)) + vaddr % (1 << shift)
        if not entry or shift == 13:
            raise no(vaddr)
        table = entry & 0x00FFFFFFFFFFE000
    raise no(vaddr)


def ia64(memory: Memory, vaddr: int) -> int:
    """By region."""
    if vaddr >> 61 in (6, 7):
        return vaddr & 0x1FFFFFFFFFFFFFFF
    found = memory.by_load(vaddr)
    if found is not None:
        return found
    shift = page_shift(memory)
    levels = 4 if memory.line("CONFIG_PGTABLE_4") == "y" else 3
    symbol = swapper(memory)
    table = symbol & 0x1FFFFFFFFFFFFFFF if symbol >> 61 in (6, 7) else memory.by_load(symbol)
    assert table is not None
    for level in range(levels - 1, 0, -1):
        entry = memory.number_at(table + (vaddr >> shift + level * (shift - 3)) % (1 << shift - 3) * 8, 8)
        if not entry:
            raise no(vaddr)
        table = entry
    entry = memory.number_at(table + (vaddr >> shift) % (1 << shift - 3) * 8, 8)
    if not entry & 1:
        raise no(vaddr)
    return (entry & 0x0003FFFFFFFFF000 & -(1 << shift)) + vaddr % (1 << shift)


def ppc(memory: Memory, vaddr: int) -> int:
    """Segments and low memory, else two levels of 32-bit entries."""
    found = memory.by_load(vaddr)
    if found is not None:
        return found
    entry = memory.number_at(swapper(memory) - 0xC0000000 + (vaddr >> 22) * 4, 4)
    if not entry:
        raise no(vaddr)
    table = entry - 0xC0000000 if entry >= 0xC0000000 else entry
    entry = memory.number_at(table + (vaddr >> 12 & 1023) * 4, 4)
    if not entry & 1:
        raise no(vaddr)
    return (entry & 0xFFFFF000) + (vaddr & 0xFFF)


WALKERS: dict[int, Walk] = {
    3: i386,
    8: mips64,
    20: ppc,
    40: arm,
    43: sparc64,
    50: ia64,
    258: loongarch64,
}
