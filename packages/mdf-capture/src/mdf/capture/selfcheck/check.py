# SPDX-License-Identifier: GPL-2.0-or-later
"""One check of one filter run: shown what is left out as it goes, it says in the end what it doubts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from mdf.capture.page_filter import KnownKernel
from mdf.capture.pages import Pages
from mdf.capture.rules import Kind
from mdf.capture.selfcheck import exported
from mdf.capture.selfcheck.accounts import differ, free_pages
from mdf.capture.selfcheck.doubt import Doubt
from mdf.capture.selfcheck.invariants import Invariants
from mdf.capture.selfcheck.must_stay import MustStay
from mdf.core.bitmap import Bitmap


class SelfCheck:
    """`see` is for the filter to call with each chunk of pages, and the kind that each was given.

    `free` says whether free pages are left out by their struct pages.
    """

    def __init__(self, known: KnownKernel, keep: Bitmap, *, free: bool) -> None:
        self._known = known
        self._free = free
        self._invariants = Invariants(known.kernel, known.layout, keep.size)
        self._must_stay = MustStay(known, keep)

    def see(self, pages: Pages, kinds: bytearray) -> None:
        """Looks at a chunk."""
        self._invariants.see(pages, kinds)
        self._must_stay.see(pages, kinds)

    @cached_property
    def _account(self) -> int | None:
        return free_pages(self._known.kernel)

    def doubts(self, counters: Mapping[Kind, int], keep: Bitmap) -> list[Doubt]:
        """What can't be right about the pages that were left out."""
        known = self._known
        return [
            *exported.doubts(known.kernel, known.layout),
            *self._invariants.doubts(),
            *self._free_doubts(counters),
            *self._stay_doubts(keep),
        ]

    def numbers(self, counters: Mapping[Kind, int]) -> Iterator[str]:
        """Lines for the report: what was found, and what the kernel's own account says."""
        if self._free:
            account = self._account
            known = "is not known" if account is None else f"has {account}"
            yield f"Self-check: {counters[Kind.FREE]} free pages found, the kernel's own account {known}."
        yield f"Self-check: {len(self._must_stay.pfns)} pages that must stay are there."

    def _free_doubts(self, counters: Mapping[Kind, int]) -> Iterator[Doubt]:
        known = self._known
        account = self._account if self._free else None
        found, block = counters[Kind.FREE], 1 << (known.layout.free_area_length or 11) - 1
        if account is None:
            return
        if known.layout.unaccepted_type is not None:
            found = min(found, account)  # What a confidential guest has not accepted yet is not in free blocks.
        if differ(found, account, block):
            yield Doubt((Kind.FREE,), f"{found} were found, but the kernel counts {account}")

    def _stay_doubts(self, keep: Bitmap) -> Iterator[Doubt]:
        for pfn in self._must_stay.left_out(keep):
            kind = self._must_stay.taken.get(pfn)
            kinds = tuple(kind for kind in Kind if kind is not Kind.KEEP) if kind is None else (kind,)
            yield Doubt(kinds, f"page {pfn:#x}, which is the kernel's own, would be one of them")
