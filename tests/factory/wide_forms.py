# SPDX-License-Identifier: GPL-2.0-or-later
"""Forms of page tables of arm64, ppc64, riscv64 and s390x."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from factory.form import Form, mask

if TYPE_CHECKING:
    from factory.machine import Machine
    from factory.spec import Spec

Make = Callable[["Spec"], Form]
TOP = 1 << 64
_VMALLOC = 0x200_00000000  # s390x
_OS_INFO_POINTER = 0xE18


def _arm64(va_bits: int, in_use: int = 0, *, lpa2: bool = False, flipped: bool = True) -> Make:
    """With `in_use` of VA_BITS; the direct map is in the lower half if `flipped`, as since 5.4."""
    used = in_use or va_bits

    def make(spec: Spec) -> Form:
        page_shift, step = spec.page_shift, spec.page_shift - 3
        table_bits = va_bits if page_shift == 16 else used
        shifts = tuple(reversed(range(page_shift, table_bits, step)))
        bits = tuple(min(step, table_bits - shift) for shift in shifts)
        wide = page_shift == 16 and va_bits == 52

        def put(paddr: int) -> int:
            if lpa2:
                return paddr & (1 << 50) - 1 | paddr >> 50 << 8
            return paddr & (1 << 48) - 1 | paddr >> 48 << 12 if wide else paddr

        def address(entry: int) -> int:
            low = entry & (1 << (50 if lpa2 else 48)) - (1 << page_shift)
            return low | (entry >> 8 & 3) << 50 if lpa2 else low | (entry >> 12 & 15) << 48 if wide else low

        # With LPA2 the bits of shareability are those of the address.
        flags = 0x78000000000400 if lpa2 else 0x78000000000700
        blocks = shifts[-4:-1] if lpa2 and page_shift == 12 else shifts[-3:-1]
        direct = TOP - (1 << va_bits if flipped else 1 << va_bits - 1)
        lines = [f"NUMBER(VA_BITS)={va_bits}", "NUMBER(PHYS_OFFSET)=0x0"]
        lines += [f"NUMBER(TCR_EL1_T1SZ)={64 - used:#x}"] if in_use else []
        lines += ["NUMBER(MAX_PHYSMEM_BITS)=52"] if (lpa2 or wide) and spec.max_physmem_bits is None else []
        if in_use and used < va_bits:
            # The direct map begins where a processor with fewer bits has it, and memory "before" its first address.
            direct = TOP - (1 << used)
            lines[1] = f"NUMBER(PHYS_OFFSET)={-((1 << va_bits) - (1 << used)) % TOP:#x}"
        lines += [f"SYMBOL(_stext)={TOP - (1 << 31):x}" if flipped else f"SYMBOL(_stext)={TOP - (1 << va_bits):x}"]
        top = TOP - (1 << min(used, 48) - 1) if flipped else TOP - (1 << va_bits)
        return Form(183, "aarch64", shifts, bits, lambda paddr: put(paddr) | 3, address,
                    lambda paddr, shift: put(paddr) | flags | (3 if shift == page_shift else 1),
                    (*blocks, page_shift), direct, top, mapped=True, reach=1 << min(used, 48) - 2,
                    paddr_bits=52 if lpa2 or wide else 48, lines=tuple(lines))  # fmt: skip

    return make


def _riscv64(va_bits: int) -> Make:
    base, vmalloc, vmemmap = {
        39: (0xFFFFFFD600000000, 0xFFFFFFC600000000, 0xFFFFFFC500000000),
        48: (0xFFFFAF8000000000, 0xFFFF8F8000000000, 0xFFFF8D8000000000),
        57: (0xFF60000000000000, 0xFF20000000000000, 0xFF1C000000000000),
    }[va_bits]
    link = 0xFFFFFFFF80000000

    def make(_spec: Spec) -> Form:
        shifts = tuple(reversed(range(12, va_bits, 9)))
        lines = {
            "VA_BITS": va_bits,
            "PAGE_OFFSET": hex(base),
            "VMALLOC_START": hex(vmalloc),
            "VMALLOC_END": hex(base - 1),
            "VMEMMAP_START": hex(vmemmap),
            "VMEMMAP_END": hex(vmalloc - 1),
            "MODULES_VADDR": hex(link - (1 << 30)),
            "MODULES_END": hex(link - 1),
            "KERNEL_LINK_ADDR": hex(link),
            "va_kernel_pa_offset": hex(link),
            "phys_ram_base": "0x0",
        }
        # Global, accessed and dirty; readable, writable, or executable.
        return Form(243, "riscv64", shifts, (9,) * len(shifts), lambda paddr: paddr >> 2 | 1,
                    lambda entry: (entry >> 10 & (1 << 44) - 1) << 12,
                    lambda paddr, shift: paddr >> 2 | (0xE9 if shift > 12 and paddr >> 21 & 1 else 0xE7),
                    shifts, base, vmalloc, image=lambda paddr: link + paddr, reach=min(base - vmalloc, 1 << 46),
                    paddr_bits=56, lines=tuple(f"NUMBER({name})={value}" for name, value in lines.items()))  # fmt: skip

    return make


def _s390x(levels: int, *, moved: bool = False) -> Make:
    types = {53: 0xF, 42: 0xB, 31: 0x7, 20: 0, 12: 0}

    def make(_spec: Spec) -> Form:
        shifts = (53, 42, 31, 20, 12)[-levels:]
        leaf = {31: 0x407, 20: 0x400, 12: 0}
        return Form(22, "s390x", shifts, (*(11,) * (levels - 1), 8), lambda paddr: paddr, mask(TOP - (1 << 11)),
                    lambda paddr, shift: paddr | leaf[shift], tuple(shift for shift in leaf if shift in shifts[-3:]),
                    0, _VMALLOC, reach=1 << 40, paddr_bits=53,
                    mark=types.__getitem__,
                    empty=lambda shift: types[shift] | 0x20 if shift > 12 else 0x400,
                    prepare=lambda machine: _low_memory(machine, moved),
                    image=(lambda paddr: (1 << 52) + paddr) if moved else None)  # fmt: skip

    return make


def _low_memory(machine: Machine, moved: bool) -> None:
    """high_memory, and os_info of a kernel whose addresses are not the physical ones (since 6.10)."""
    spec, memory = machine.spec, machine.memory
    end = max(ram.end for ram in spec.ram)
    memory.write_word(machine.symbol("high_memory", 8), end)
    if moved:
        block = machine.symbol("os_info", 512)
        entries = [0, 0, 0, 0, machine.direct, machine.image - machine.image_paddr, 0, _VMALLOC, 0x6000, 0x7000]
        packed = b"".join(struct.pack(">QQI", value, 8, 0) for value in entries)
        memory.write(block, b"OSINFOSZ".ljust(32, b"\0") + packed)
        memory.write_word(_OS_INFO_POINTER, block)


# The bits of an index from the top table down: hash MMUs with pages of 64 and 4 KiB since a release.
_HASH: dict[int, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {
    16: [((0,), (4, 12, 12)), ((3, 10), (12, 10, 8)), ((4, 6), (12, 5, 5, 8)), ((4, 12), (8, 7, 10, 8)),
         ((4, 17), (8, 10, 10, 8))],
    12: [((0,), (9, 7, 7, 9)), ((3, 7), (9, 9, 7, 9))],
}  # fmt: skip
_RADIX: dict[int, tuple[int, ...]] = {16: (13, 9, 9, 5), 12: (13, 9, 9, 9)}


def _ppc64(radix: bool) -> Make:
    def make(spec: Spec) -> Form:
        release, page_shift = spec.generation.release, spec.page_shift
        bits = _RADIX[page_shift] if radix else [bits for since, bits in _HASH[page_shift] if release >= since][-1]
        shifts = tuple(page_shift + sum(bits[level + 1 :]) for level in range(len(bits)))
        modern = radix or release >= (4, 6)
        if modern:
            field = page_shift
        elif page_shift == 16:
            field = 32
        else:
            field = 18 if release >= (4, 5) else 17
        flags = 0xC000000000000187 if modern else 0x387 if release < (4, 5) else 0x382

        def stored(entry: int) -> int:
            """A little-endian kernel has big-endian entries."""
            return int.from_bytes(entry.to_bytes(8, "big"), spec.byteorder)

        def table(paddr: int) -> int:
            if radix:
                return stored(paddr | 1 << 63 | bits[-1])
            return stored(paddr if modern else 0xC000000000000000 | paddr)

        def leaf(paddr: int, _shift: int) -> int:
            return stored(paddr >> page_shift << field | flags)

        lines: tuple[str, ...] = (f"NUMBER(RADIX_MMU)={int(radix)}",)
        if spec.max_physmem_bits is None:
            lines += ("NUMBER(MAX_PHYSMEM_BITS)=46",)
        leaves = (*shifts[1:-1], page_shift) if modern else (page_shift,)
        return Form(21, "ppc64le" if spec.byteorder == "little" else "ppc64", shifts, bits, table,
                    lambda entry: stored(entry) & (1 << 60) - (1 << 8), leaf, leaves, 0xC000000000000000,
                    0xC008000000000000 if radix else 0xD000000000000000, reach=1 << min(shifts[0] + bits[0] - 1, 46),
                    lines=lines)  # fmt: skip

    return make


WIDE_FORMS: dict[str, Make] = {
    "arm64-36": _arm64(36),
    "arm64-39": _arm64(39),
    "arm64-42": _arm64(42),
    "arm64-47": _arm64(47, 47),
    "arm64-48": _arm64(48, 48),
    "arm64-48-old": _arm64(48, flipped=False),
    "arm64-52": _arm64(52, 52),
    "arm64-52-as-48": _arm64(52, 48),
    "arm64-52-as-47": _arm64(52, 47),
    "arm64-lpa2": _arm64(52, 52, lpa2=True),
    "riscv64-39": _riscv64(39),
    "riscv64-48": _riscv64(48),
    "riscv64-57": _riscv64(57),
    "s390x-3": _s390x(3),
    "s390x-4": _s390x(4),
    "s390x-5": _s390x(5),
    "s390x-moved": _s390x(4, moved=True),
    "ppc64-radix": _ppc64(True),
    "ppc64-hash": _ppc64(False),
}
