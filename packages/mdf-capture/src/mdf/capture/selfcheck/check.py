# SPDX-License-Identifier: GPL-2.0-or-later
"""One check of one filter run: shown what is left out as it goes, it says in the end what it doubts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from mdf.capture.page_filter import KnownKernel
from mdf.capture.pages import Pages
from mdf.capture.rules import Kind
from mdf.capture.selfcheck import exported, own_numbers
from mdf.capture.selfcheck.accounts import Account, Accounts
from mdf.capture.selfcheck.doubt import ALL, Doubt
from mdf.capture.selfcheck.found import Found
from mdf.capture.selfcheck.free_blocks import free_pages
from mdf.capture.selfcheck.invariants import Invariants
from mdf.capture.selfcheck.must_stay import MustStay
from mdf.capture.selfcheck.own_words import OwnWords
from mdf.capture.selfcheck.vmstat import VmStat
from mdf.core.bitmap import Bitmap


class SelfCheck:
    """`see` is for the filter to call with each chunk of pages, and the kind that each was given.

    `words` are what the kernel says of itself. `free` says whether free pages are left out by their struct pages;
    `lacking` is how many pages of memory the dump has no data of, which are left out before; `twice` is how many are
    shown, and counted, again.
    """

    def __init__(
        self,
        known: KnownKernel,
        words: OwnWords,
        keep: Bitmap,
        level: int,
        *,
        free: bool,
        lacking: int = 0,
        twice: int = 0,
    ) -> None:
        self._known = known
        self._level = level
        self._free = free
        self._apart = lacking + twice
        self._present = keep.count() + lacking
        self._words = words
        self._invariants = Invariants(known.kernel, known.layout, keep.size)
        self._must_stay = MustStay(known, words, keep)
        self._found = Found(level, known.kernel.info, known.layout)

    def see(self, pages: Pages, kinds: bytearray) -> None:
        """Looks at a chunk."""
        self._invariants.see(pages, kinds)
        self._must_stay.see(pages, kinds)
        self._found.see(pages)

    def doubts(self, counters: Mapping[Kind, int], keep: Bitmap) -> list[Doubt]:
        """What can't be right about the pages that were left out."""
        known = self._known
        return [
            *exported.doubts(known.kernel, known.layout),
            *own_numbers.doubts(known.kernel.info, self._words),
            *self._invariants.doubts(),
            *self._found.doubts(counters),
            *(doubt for account in self._held(counters) for doubt in account.doubts()),
            *self._accounts.other_doubts(counters[Kind.OFFLINE]),
            *self._stay_doubts(keep),
        ]

    def numbers(self, counters: Mapping[Kind, int]) -> Iterator[str]:
        """Lines for the report: what was found, and what the kernel's own account says."""
        for account in self._held(counters):
            yield account.line
        yield f"Self-check: {len(self._must_stay.pfns)} pages that must stay are there."

    def _held(self, counters: Mapping[Kind, int]) -> Iterator[Account]:
        yield from self._accounts.of(self._level, counters, self._found)
        if self._free:
            yield self._accounts.of_free(counters[Kind.FREE])

    @cached_property
    def _accounts(self) -> Accounts:
        known, stat = self._known, VmStat.of(self._words)
        return Accounts(
            stat=stat,
            layout=known.layout,
            free=free_pages(known.kernel),
            block=1 << (known.layout.free_area_length or 11) - 1,
            covered=sum(piece.pfn_end - piece.pfn_start for piece in known.pieces),
            apart=self._apart + max((stat.managed or 0) - self._present, 0),
        )

    def _stay_doubts(self, keep: Bitmap) -> Iterator[Doubt]:
        for pfn in self._must_stay.left_out(keep):
            kind = self._must_stay.taken.get(pfn)
            yield Doubt(
                ALL if kind is None else (kind,), f"page {pfn:#x}, which is the kernel's own, would be one of them"
            )
