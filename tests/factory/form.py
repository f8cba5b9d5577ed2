# SPDX-License-Identifier: GPL-2.0-or-later
"""What a form of page tables is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from factory.machine import Machine


def _nothing(_shift: int) -> int:
    return 0


@dataclass(frozen=True)
class Form:
    """Tables from the top level down: an entry of level n covers `1 << shifts[n]` bytes, a table has `1 << bits[n]`.

    `table` makes the entry that leads to a table, `address` gets the table's address out of it, `leaf` makes the entry
    that maps memory in pages of `1 << shift` bytes: (paddr, shift). `leaves` are those shifts. Tables below the top
    begin at `inset` in the pages that are allocated for them.

    `direct` is the virtual address of the first byte of memory (`counted`) or of physical address 0, `mapped` says
    whether tables map all of it; the kernel's image at a physical address is at `image`, or where the direct map has
    it. `vmalloc` is where tables are all there is.
    """

    machine: int
    name: str
    shifts: tuple[int, ...]
    bits: tuple[int, ...]
    table: Callable[[int], int]
    address: Callable[[int], int]
    leaf: Callable[[int, int], int]
    leaves: tuple[int, ...]
    direct: int
    vmalloc: int
    width: int = 8
    inset: int = 0
    mapped: bool = False
    counted: bool = False
    image: Callable[[int], int] | None = None
    bits_of_word: int = 64
    reach: int = 0
    paddr_bits: int = 0
    mark: Callable[[int], int] = _nothing
    empty: Callable[[int], int] = _nothing
    lines: tuple[str, ...] = ()
    prepare: Callable[[Machine], None] | None = None


def mask(bits: int) -> Callable[[int], int]:
    """The bits of an entry that are an address."""
    return lambda entry: entry & bits
