# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes kdump-compressed dumps as QEMU's dump-guest-memory does: as flattened streams, with less in the headers.

QEMU knows nothing of the kernel, so utsname has only the machine and there is no time. It leaves nothing out: both
bitmaps are the same, and the level is 1. NUMBER(phys_base) of VMCOREINFO it reads as if that were hexadecimal.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from factory.flattened import END, HEADER, HEADER_SIZE
from factory.kdump import KdumpStyle, write_kdump

if TYPE_CHECKING:
    from factory.vmcore import Vmcore

_PHYS_BASE = re.compile(r"^NUMBER\(phys_base\)=(-?)([0-9]+)$", re.MULTILINE)
_CACHE_PAGES = 4
_DESCRIPTOR_SIZE = 24


def write_qemu_kdump(vmcore: Vmcore, path: Path) -> Path:
    """Write `vmcore` to `path`, which is returned."""
    dump = bytearray(write_kdump(vmcore, path, KdumpStyle(zlib=True, level=1)).read_bytes())
    size, word = vmcore.page_size, vmcore.bits // 8
    machine = vmcore.spec.utsname_machine.encode().ljust(65, b"\0")
    dump[12 : 12 + 6 * 65] = bytes(4 * 65) + machine + bytes(65)
    time = 12 + 6 * 65 + (6 if vmcore.bits == 64 else 2)
    dump[time : time + 2 * word] = bytes(2 * word)
    said = _PHYS_BASE.search(vmcore.vmcoreinfo)
    if said:
        phys_base = int(said[1] + said[2], 16) % (1 << vmcore.bits)
        dump[size : size + word] = phys_base.to_bytes(word, vmcore.byteorder)
    with path.open("wb") as file:
        file.write(HEADER.ljust(HEADER_SIZE, b"\0"))
        for start, end in _records(dump, vmcore):
            if start < end:
                file.write(struct.pack(">qq", start, end - start) + dump[start:end])
        file.write(END)
    return path


def _records(dump: bytearray, vmcore: Vmcore) -> Iterator[tuple[int, int]]:
    """What is written in one go: headers, each block of both bitmaps in turn, then descriptors and data, in caches."""
    order, size = "<" if vmcore.byteorder == "little" else ">", vmcore.page_size
    main_size, blocks = (464, 432) if vmcore.bits == 64 else (452, 420)
    sub_blocks, bitmap_blocks = struct.unpack_from(f"{order}iI", dump, blocks)
    bitmaps = (1 + sub_blocks) * size
    yield 0, main_size
    yield size, bitmaps
    half = bitmap_blocks // 2 * size
    for block in range(bitmaps, bitmaps + half, size):
        yield block, block + size
        yield block + half, block + half + size
    descriptors = bitmaps + 2 * half
    pages = int.from_bytes(dump[bitmaps + half : descriptors]).bit_count()
    data, end = descriptors + pages * _DESCRIPTOR_SIZE, len(dump)
    cache = _CACHE_PAGES * size
    table = cache - cache % _DESCRIPTOR_SIZE
    for number in range(max(-(-(end - data) // cache), -(-(data - descriptors) // table))):
        yield data + number * cache, min(data + (number + 1) * cache, end)
        yield descriptors + number * table, min(descriptors + (number + 1) * table, data)
