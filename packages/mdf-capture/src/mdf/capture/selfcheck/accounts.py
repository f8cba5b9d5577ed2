# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages that were found, held against the kernel's own accounts of each class.

Anonymous pages are counted while they are mapped (NR_ANON_MAPPED); what is in the swap cache may be so or not, and
counts as one of NR_FILE_PAGES besides, whichever it is of. An account may lag behind what the processors do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mdf.capture.layout import PageLayout
from mdf.capture.rules import DumpLevel, Kind
from mdf.capture.selfcheck.doubt import CACHES, IN_USE, Doubt
from mdf.capture.selfcheck.found import Found
from mdf.capture.selfcheck.vmstat import VmStat

_PART = 64
_FEW, _POOL_FEW = 8, 2
# Slabs have fewer pages on average (slub_max_order is 3; larger orders are only for objects that need them).
_SLAB = 32
_LRU = ("NR_INACTIVE_ANON", "NR_ACTIVE_ANON", "NR_INACTIVE_FILE", "NR_ACTIVE_FILE", "NR_UNEVICTABLE")


@dataclass(frozen=True)
class Account:
    """`found` pages of a class, of which the kernel has between `low` and `high`; None for a bound that is not known.

    `slack` is how far from that the number may be. If it is further, `kinds` can't be told.
    """

    what: str
    kinds: tuple[Kind, ...]
    found: int
    low: int | None
    high: int | None
    slack: int

    @property
    def counted(self) -> str:
        """What the kernel has, in words."""
        if self.low is None or self.high is None:
            return f"at most {self.high}" if self.low is None else f"at least {self.low}"
        return str(self.low) if self.low == self.high else f"{self.low} to {self.high}"

    @property
    def line(self) -> str:
        """Both numbers, for the report."""
        known = "is not known" if self.low is None and self.high is None else f"has {self.counted}"
        return f"Self-check: {self.found} {self.what} found, the kernel's own account {known}."

    def doubts(self) -> Iterator[Doubt]:
        """The doubt, where the two can't be of the same memory."""
        short = self.low is not None and self.found < self.low - self.slack
        if short or (self.high is not None and self.found > self.high + self.slack):
            yield Doubt(self.kinds, f"{self.found} {self.what} were found, but the kernel counts {self.counted}")


@dataclass(frozen=True)
class Accounts:
    """What the kernel counts, for one dump of its pages.

    `free` are those in the buddy system's blocks, of which `block` is the largest; `covered` pages are in the memory
    map. Of `apart` pages is known that the dump has not, or that they were counted twice.
    """

    stat: VmStat
    layout: PageLayout
    free: int | None
    block: int
    covered: int
    apart: int

    def of(self, level: int, counters: Mapping[Kind, int], found: Found) -> Iterator[Account]:
        """The accounts of what a level leaves out."""
        yield Account(
            "pages with a struct page", (*IN_USE, Kind.FREE), self.covered, self.stat.managed, None, self.apart
        )
        if level & (DumpLevel.CACHE | DumpLevel.CACHE_PRIVATE):
            yield self._cache(counters, private=bool(level & DumpLevel.CACHE_PRIVATE))
        if level & DumpLevel.USER:
            yield self._user(counters[Kind.USER])
            yield from self._told_apart(found)
        if found.pages:
            yield from self._never_kept(counters[Kind.OFFLINE], found)

    def of_free(self, found: int) -> Account:
        """Free pages. A stopped processor may have a block in its hands, which one count has and the other has not."""
        count = self.stat.sum("NR_FREE_PAGES") if self.free is None else self.free
        if self.layout.unaccepted_type is not None and count is not None:
            found = min(found, count)  # What a confidential guest has not accepted yet is not in free blocks.
        slack = (count or 0) // _PART + 2 * self.block + self.apart + (self.stat.lag if self.free is None else 0)
        return Account("free pages", (Kind.FREE,), found, count, count, slack)

    def _cache(self, counters: Mapping[Kind, int], *, private: bool) -> Account:
        """Without `private` ones they are only a part. Those of a file that is gone may be on an LRU list still."""
        stat, file = self.stat, self.stat.sum("NR_FILE_PAGES")
        found = counters[Kind.CACHE] + counters[Kind.CACHE_PRIVATE]
        if file is None:
            return Account("cache pages", CACHES, found, None, None, 0)
        low, high = max(file - self._swap, 0), max(file, self._listed - (stat.sum("NR_ANON_MAPPED") or 0))
        slack = self._slack(file) + self._isolated
        return Account("cache pages", CACHES, found, low if private else None, high, slack)

    def _user(self, found: int) -> Account:
        stat, anonymous = self.stat, self.stat.sum("NR_ANON_MAPPED")
        if anonymous is None or stat.hugetlb is None:
            return Account("user pages", (Kind.USER,), found, None, None, 0)
        huge, file = sum(pages << order for order, pages in stat.hugetlb.items()), stat.sum("NR_FILE_PAGES") or 0
        # A large folio counts as mapped as far as it is; on the LRU lists, where all others are of files, it is whole.
        low, high = anonymous + huge, max(anonymous + self._swap, self._listed - max(file - self._swap, 0)) + huge
        return Account("user pages", (Kind.USER,), found, low, high, self._slack(low) + self._isolated)

    def _told_apart(self, found: Found) -> Iterator[Account]:
        """What user pages are told by, or told from."""
        slab = self.stat.sum("NR_SLAB_RECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE_B")
        if slab is not None:
            low, high = max(slab - self.stat.lag, 0) // _SLAB, slab + self.stat.lag
            yield Account("slabs", (Kind.USER,), found.slabs, low, high, self.apart)
        if self.stat.hugetlb is not None:
            pages = sum(self.stat.hugetlb.values())
            slack = _POOL_FEW + pages // _PART + self.apart
            yield Account("hugetlb pages", (Kind.USER,), found.hugetlb, pages, pages, slack)

    def _never_kept(self, offline: int, found: Found) -> Iterator[Account]:
        """Reading them may stop the machine: that there are more of them is no reason to keep those that were found."""
        poisoned, balloon = self.stat.poisoned, self.stat.sum("NR_BALLOON_PAGES")
        if poisoned is not None and self.layout.hwpoison is not None:
            slack = max(poisoned // 2, 1) + self.apart
            yield Account("poisoned pages", (Kind.HWPOISON,), found.poisoned, None, poisoned, slack)
        if balloon is not None and self.layout.offline_type is not None:
            yield Account("offline pages", (Kind.OFFLINE,), offline, balloon, None, self._slack(balloon))

    def other_doubts(self, offline: int) -> Iterator[Doubt]:
        """Without an account of offline pages, that they are not those of the page type beside theirs."""
        tables = self.stat.sum("NR_PAGETABLE")
        if tables and "NR_BALLOON_PAGES" not in self.stat.items and abs(offline - tables) <= _FEW + tables // _PART:
            yield Doubt((Kind.OFFLINE,), f"{offline} were found, as many as there are page tables: {tables}")

    @property
    def _swap(self) -> int:
        return self.stat.sum("NR_SWAPCACHE") or 0

    @property
    def _listed(self) -> int:
        """Pages on the LRU lists."""
        return self.stat.sum(*_LRU) or 0

    @property
    def _isolated(self) -> int:
        """Pages that are off their list for a moment."""
        return self.stat.sum("NR_ISOLATED_ANON", "NR_ISOLATED_FILE") or 0

    def _slack(self, count: int | None) -> int:
        return (count or 0) // _PART + self.stat.lag + self.apart
