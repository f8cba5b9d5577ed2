# SPDX-License-Identifier: GPL-2.0-or-later
"""Translation of virtual addresses on arm64, ppc64, riscv64 and s390x, each step written out."""

from __future__ import annotations

from contextlib import suppress

from oracle.walkers import Memory, no, page_shift, release, swapper


def _number(memory: Memory, name: str) -> int | None:
    text = memory.line(f"NUMBER({name})")
    return None if text is None else int(text, 0) % (1 << 64)


def _symbol(memory: Memory, name: str) -> int:
    return int(memory.line(f"SYMBOL({name})") or "0", 16)


def arm64(memory: Memory, vaddr: int) -> int:
    """Arm's manual, D8: a descriptor's bits 1 and 0 are 3 for a table or a page, 1 for a block."""
    va_bits, t1sz = _number(memory, "VA_BITS"), _number(memory, "TCR_EL1_T1SZ")
    assert va_bits is not None
    used = 64 - t1sz if t1sz is not None else va_bits
    size = page_shift(memory)
    stext, top = _symbol(memory, "_stext"), swapper(memory)
    is_new = stext >= (1 << 64) - (1 << min(va_bits, 48) - 1)
    offset = _number(memory, "kimage_voffset")
    is_in_image = bool(top >> used - 1 & 1) is is_new
    if offset is not None and is_in_image:
        table = (top - offset) % (1 << 64)
    else:
        start = -(1 << va_bits) if is_new else -(1 << va_bits - 1)
        table = (top - start + (_number(memory, "PHYS_OFFSET") or 0)) % (1 << 64)
    has_52 = _number(memory, "MAX_PHYSMEM_BITS") == 52
    width = va_bits if size == 16 else used
    shift = size
    while shift + size - 3 < width:
        shift += size - 3
    level = 3 - (shift - size) // (size - 3)
    index = (vaddr >> shift) % (1 << width - shift)
    while True:
        entry = memory.number_at(table + index * 8, 8)
        if size == 16:
            address = entry & 0xFFFFFFFF0000
            if has_52 or (va_bits == 52 and _number(memory, "MAX_PHYSMEM_BITS") is None):
                address += (entry >> 12 & 15) << 48
        elif has_52:
            address = (entry & 0x3FFFFFFFFFFFF) >> size << size | (entry >> 8 & 3) << 50
        else:
            address = (entry & 0xFFFFFFFFFFFF) >> size << size
        if entry & 3 == (3 if level == 3 else 1) and level >= (0 if has_52 and size == 12 else 1):
            return address >> shift << shift | vaddr % (1 << shift)
        if entry & 3 != 3:
            raise no(vaddr)
        table, level, shift = address, level + 1, shift - size + 3
        index = (vaddr >> shift) % (1 << size - 3)


def riscv64(memory: Memory, vaddr: int) -> int:
    """The privileged architecture, 10.3 ff."""
    numbers = {
        name: _number(memory, name) or 0
        for name in (
            "VA_BITS PAGE_OFFSET VMALLOC_START VMALLOC_END VMEMMAP_START VMEMMAP_END MODULES_VADDR MODULES_END "
            "KERNEL_LINK_ADDR va_kernel_pa_offset phys_ram_base"
        ).split()
    }

    def direct(address: int) -> int | None:
        for start, end in (("VMALLOC_START", "VMALLOC_END"), ("VMEMMAP_START", "VMEMMAP_END"),
                           ("MODULES_VADDR", "MODULES_END")):  # fmt: skip
            if numbers[start] <= address <= numbers[end]:
                return None
        if address >= numbers["KERNEL_LINK_ADDR"]:
            return address - numbers["va_kernel_pa_offset"]
        if address >= numbers["PAGE_OFFSET"]:
            return address - numbers["PAGE_OFFSET"] + numbers["phys_ram_base"]
        return None

    found = direct(vaddr)
    if found is not None:
        return found
    table = direct(swapper(memory))
    assert table is not None
    for shift in {39: (30, 21, 12), 48: (39, 30, 21, 12), 57: (48, 39, 30, 21, 12)}[numbers["VA_BITS"]]:
        entry = memory.number_at(table + (vaddr >> shift) % 512 * 8, 8)
        if not entry & 1:
            raise no(vaddr)
        table = (entry >> 10) % (1 << 44) << 12
        if entry & 0xE:
            return table >> shift << shift | vaddr % (1 << shift)
    raise no(vaddr)


def s390x(memory: Memory, vaddr: int) -> int:
    """Principles of operation, chapter 3; a kernel without os_info of moved addresses has memory where it is."""
    base, top = {}, swapper(memory)
    with suppress(LookupError):
        info = memory.number_at(0xE18, 8)
        if memory.number_at(info, 8) == 0x4F53494E464F535A:
            base = {number: memory.number_at(info + 32 + number * 20, 8) for number in range(4, 10)}
    moved = bool(base.get(5))

    def direct(address: int) -> int | None:
        if not moved:
            return address if address < memory.number_at(_symbol(memory, "high_memory"), 8) else None
        if address < 0x2000 or base[8] <= address < base[9]:
            return address
        if address >= base[5]:
            return address - base[5] + base[6]
        return address - base[4] if base[4] <= address < base[7] else None

    found = direct(vaddr)
    if found is not None:
        return found
    table = direct(top)
    assert table is not None
    kind = memory.number_at(table, 8) >> 2 & 3
    while kind >= 0:
        shift = 20 + 11 * kind
        entry = memory.number_at(table + (vaddr >> shift) % 2048 * 8, 8)
        if entry & 0x20:
            raise no(vaddr)
        if entry & 0x400 and kind <= 1:
            return entry >> shift << shift | vaddr % (1 << shift)
        table = entry >> 11 << 11 if kind == 0 else entry >> 12 << 12
        kind -= 1
    entry = memory.number_at(table + (vaddr >> 12) % 256 * 8, 8)
    if entry & 0xC00:
        raise no(vaddr)
    return entry >> 12 << 12 | vaddr % 4096


def ppc64(memory: Memory, vaddr: int) -> int:
    """The kernel's book3s/64 headers: radix.h, hash-4k.h, hash-64k.h and their history."""
    if 0xC000000000000000 <= vaddr < 0xC008000000000000:
        return vaddr & 0x7FFFFFFFFFFFF
    size, since = page_shift(memory), release(memory)
    is_radix = _number(memory, "RADIX_MMU") == 1
    if is_radix:
        bits = [13, 9, 9, 5] if size == 16 else [13, 9, 9, 9]
    elif size == 16:
        if since < (3, 10):
            bits = [4, 12, 12]
        elif since < (4, 6):
            bits = [12, 10, 8]
        elif since < (4, 12):
            bits = [12, 5, 5, 8]
        else:
            bits = [8, 7, 10, 8] if since < (4, 17) else [8, 10, 10, 8]
    else:
        bits = [9, 7, 7, 9] if since < (3, 7) else [9, 9, 7, 9]
    table = swapper(memory) & 0x7FFFFFFFFFFFF
    is_swapped = memory.byteorder == "little" and (is_radix or since >= (4, 7))
    for position, count in enumerate(bits):
        is_last = position == len(bits) - 1
        shift = size + sum(bits[position + 1 :])
        entry = memory.number_at(table + (vaddr >> shift) % (1 << count) * 8, 8)
        if is_swapped:
            entry = int.from_bytes(entry.to_bytes(8, "little"), "big")
        if is_radix or since >= (4, 6):
            is_leaf = entry >> 62 == 3
            if is_last and not entry >> 63:
                raise no(vaddr)
        else:
            is_leaf = False
            if is_last and not entry & (2 if since >= (4, 5) else 1):
                raise no(vaddr)
        if is_leaf or is_last:
            if is_radix or since >= (4, 11):
                number = (entry & 0x1FFFFFFFFFFFFF) >> size
            elif since >= (4, 6):
                number = (entry & 0x1FFFFFFFFFFFFFF) >> size
            elif size == 16:
                number = entry >> (32 if memory.line("SYMBOL(demote_segment_4k)") is None else 30)
            else:
                number = entry >> (18 if since >= (4, 5) else 17)
            return number << size >> shift << shift | vaddr % (1 << shift)
        if entry == 0:
            raise no(vaddr)
        table = entry % (1 << 60) >> 8 << 8
    raise no(vaddr)
