# SPDX-License-Identifier: GPL-2.0-or-later
"""Page indexes: Xen numbers pages without the large holes in memory, in the frame table and where all memory is mapped.

The numbering is read off the hypervisor's page tables, which have it in every version: a page frame's index is the
place at which it is mapped. Versions differ in how they compute it, and the symbols they need are exported by none.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from mdf.core.errors import AddressError
from mdf.xen.hypervisor import Hypervisor

_PRESENT, _LARGE = 1, 1 << 7
_ADDRESS = (1 << 52) - (1 << 12)
_ENTRIES, _SHIFT, _PAGE = 512, 9, 12
# Pages that an entry covers, by level: 512 GiB, 1 GiB, 2 MiB, 4 KiB.
_COVERED = tuple(1 << _SHIFT * level for level in (3, 2, 1, 0))


@dataclass(frozen=True)
class PageIndexes:
    """From `starts[i]` on, a page frame's index is its number plus `offsets[i]`; without any, its number."""

    starts: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()

    @classmethod
    def of(cls, hypervisor: Hypervisor) -> Self:
        """The numbering of a hypervisor; the plain one if its memory is not mapped."""
        found: dict[int, int] = {}
        for index, pfn in _mapped(hypervisor):
            offset = index - pfn
            # Only where it changes; what is mapped twice counts where it is first.
            found.setdefault(pfn, offset)
        starts: list[int] = []
        offsets: list[int] = []
        for pfn in sorted(found):
            if not offsets or offsets[-1] != found[pfn]:
                starts.append(pfn)
                offsets.append(found[pfn])
        return cls(tuple(starts), tuple(offsets))

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The page frames [start, end) in ranges whose indexes are consecutive: (first, last, index of the first)."""
        position = bisect_right(self.starts, start)
        while start < end:
            upto = min(end, self.starts[position]) if position < len(self.starts) else end
            # Frames below the first one that is mapped are numbered as that is.
            offset = self.offsets[max(position - 1, 0)] if self.offsets else 0
            yield start, upto, start + offset
            start, position = upto, position + 1


def _mapped(hypervisor: Hypervisor) -> Iterator[tuple[int, int]]:
    """Index and page frame of mapped memory, in order of index, wherever the difference may change."""
    layout = hypervisor.layout
    first, last = (vaddr >> 39 & _ENTRIES - 1 for vaddr in (layout.directmap_start, layout.directmap_end - 1))
    seen: set[int] = set()
    yield from _table(hypervisor, hypervisor.walker.root, 0, -first * _COVERED[0], range(first, last + 1), seen)


def _table(
    hypervisor: Hypervisor, paddr: int, level: int, index: int, slots: range, seen: set[int]
) -> Iterator[tuple[int, int]]:
    """What a table maps; `index` is that of its slot 0. A table that was `seen` is not looked at again."""
    if paddr in seen:  # Tables of memory that is damaged can be a loop.
        return
    seen.add(paddr)
    try:
        entries = array("Q", hypervisor.dump.read(paddr, 8 * _ENTRIES))
    except AddressError:
        return
    if sys.byteorder == "big":
        entries.byteswap()
    covered, before = _COVERED[level], None
    for slot in slots:
        entry = entries[slot]
        if not entry & _PRESENT:
            continue
        at = index + slot * covered
        if level == 3 or (level and entry & _LARGE):
            pfn = (entry & _ADDRESS) // (covered << _PAGE) * covered
            if at - pfn != before:
                before = at - pfn
                yield at, pfn
            if level == 3:
                return  # What it covers is smaller than any hole.
        else:
            yield from _table(hypervisor, entry & _ADDRESS, level + 1, at, range(_ENTRIES), seen)
            before = None
