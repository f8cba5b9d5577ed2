# SPDX-License-Identifier: GPL-2.0-or-later
"""What several tests of the factory use."""

from __future__ import annotations

from pathlib import Path

from factory import MIB, ElfStyle, Ram, Spec, Vmcore, build, random_layout
from oracle import Counters, filter_pages

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB))


def filled(spec: Spec, seed: int = 1) -> Vmcore:
    """A machine full of everything."""
    return build(random_layout(spec, seed))


def set_bits(bitmap: bytes) -> set[int]:
    """The page frames of a bitmap."""
    return {8 * at + bit for at, byte in enumerate(bitmap) if byte for bit in range(8) if byte >> bit & 1}


def kept_by_oracle(core: Vmcore, path: Path, level: int, style: ElfStyle | None = None) -> tuple[set[int], Counters]:
    """What the oracle keeps of a machine's ELF vmcore."""
    base = core.machine.direct if core.spec.arch == "linear" else None
    _, bitmap, counters = filter_pages(core.elf(path, style), level, base)
    return set_bits(bitmap), counters


def kept_by_declaration(core: Vmcore, level: int) -> set[int]:
    """What must be kept by what was declared."""
    return {pfn for pfn in core.ram_pfns if pfn < core.max_mapnr} - core.excluded(level)
