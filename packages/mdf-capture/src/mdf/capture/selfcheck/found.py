# SPDX-License-Identifier: GPL-2.0-or-later
"""What the pages of a whole memory are, beside what is left out of them; and which classes no memory is without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mdf.capture.columns import but_not
from mdf.capture.layout import PageLayout
from mdf.capture.pages import Pages
from mdf.capture.rules import DumpLevel, Kind
from mdf.capture.selfcheck.doubt import CACHES, IN_USE, Doubt
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

# A smaller memory (64 MiB) may lack a class of pages.
_ENOUGH = 1 << 14
_FEW, _MANY, _POISONED_PART = 32, 1 << 10, 1000
_IN_USE = DumpLevel.CACHE | DumpLevel.CACHE_PRIVATE | DumpLevel.USER


class Found:
    """Shown all pages, it counts them, heads of slabs and of hugetlb pages, pages of processes, and poisoned ones."""

    def __init__(self, level: int, info: Vmcoreinfo, layout: PageLayout) -> None:
        self._in_use, self._user = bool(level & _IN_USE), bool(level & DumpLevel.USER)
        self._poisoned = layout.hwpoison is not None
        # Where slab is a page type, the flag that it had before is another one.
        self._other_flag = layout.slab if layout.slab_type is not None else None
        self._slab_known = layout.slab_type is not None or info.number("PG_slab") is not None
        self.pages = self.slabs = self.hugetlb = self.anonymous = self.poisoned = 0

    def see(self, pages: Pages) -> None:
        """Looks at a chunk of pages."""
        self.pages += pages.count
        if self._in_use:
            others = 0 if self._other_flag is None else pages.flag(self._other_flag)
            self.slabs += but_not(pages.slab, others).bit_count()
            self.anonymous += but_not(pages.anonymous, pages.tail).bit_count()
        if self._user:
            self.hugetlb += pages.hugetlb.bit_count()
        if self._poisoned:
            self.poisoned += pages.hwpoison.bit_count()

    def doubts(self, counters: Mapping[Kind, int]) -> Iterator[Doubt]:
        """No kernel that runs is without slab pages, or without pages of processes; few pages are poisoned."""
        if self.pages < _ENOUGH:
            return
        poisoned, cache = counters[Kind.HWPOISON], sum(counters[kind] for kind in CACHES)
        if poisoned > max(_FEW, self.pages // _POISONED_PART):
            yield Doubt((Kind.HWPOISON,), f"{poisoned} of {self.pages} pages would be poisoned")
        if self._in_use and self._slab_known and not self.slabs:
            yield Doubt((Kind.USER,), f"there are no slab pages among {self.pages}")
        if cache > _MANY and not self.anonymous:
            yield Doubt(IN_USE, f"there are no pages of processes among {self.pages}")
