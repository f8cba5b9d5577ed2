# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine without page tables, for tests of what lies above them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdf.core.arch.paging import Mapping, Step
from mdf.core.errors import AddressError


@dataclass(frozen=True)
class Linear:
    """Kernel addresses are physical ones plus `kernel_base`."""

    kernel_base: int
    bits: int
    max_physmem_bits: int = 40
    section_size_bits: int = 22
    phys_base: int = 0
    mem_map_pfn: int = 0
    lookups: tuple[int, int] = (0, 0)

    def translate(self, vaddr: int, trace: Callable[[Step], None] | None = None) -> Mapping:
        if not self.kernel_base <= vaddr < 1 << self.bits:
            raise AddressError(f"Virtual address {vaddr:#x} is not mapped.")
        return Mapping(vaddr - self.kernel_base, (1 << self.bits) - vaddr)

    def physical(self, paddr: int) -> int:
        return paddr
