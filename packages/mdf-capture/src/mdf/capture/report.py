# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run did, and the block of statistics that scripts read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_LINE = "-" * 50


@dataclass(frozen=True)
class Report:
    """Pages, by what became of them; `written` in bytes. `elf_excluded` is None for the kdump-compressed format.

    `further` are pages left out by rules for other than Linux: their line's name, and how many.
    """

    level: int
    total: int
    original: int
    zero: int
    cache: int
    cache_private: int
    user: int
    free: int
    hwpoison: int
    offline: int
    written: int
    elf_excluded: int | None = None
    further: tuple[tuple[str, int], ...] = ()
    lookups: tuple[int, int] = (0, 0)

    @property
    def excluded(self) -> int:
        """All pages left out, and zero pages."""
        counted = self.zero + self.cache + self.cache_private + self.user + self.free + self.hwpoison + self.offline
        return counted + sum(pages for _, pages in self.further)

    @property
    def remaining(self) -> int:
        """The pages of memory that were not left out."""
        return self.original - self.excluded

    def lines(self) -> Iterator[str]:
        """The block of statistics."""
        in_elf = self.elf_excluded
        yield ""
        yield f"Original pages  : {_pages(self.original)}"
        yield f"  Excluded pages   : {_pages(self.excluded)}"
        if in_elf is not None:
            yield f"     in ELF format : {_pages(in_elf)}"
        yield f"    Pages filled with zero  : {_pages(self.zero)}"
        yield f"    Non-private cache pages : {_pages(self.cache)}"
        yield f"    Private cache pages     : {_pages(self.cache_private)}"
        yield f"    User process data pages : {_pages(self.user)}"
        yield f"    Free pages              : {_pages(self.free)}"
        yield f"    Hwpoison pages          : {_pages(self.hwpoison)}"
        yield f"    Offline pages           : {_pages(self.offline)}"
        for name, pages in self.further:
            yield f"    {name:<24}: {_pages(pages)}"
        yield f"  Remaining pages  : {_pages(self.remaining)}"
        remaining = self.remaining
        if in_elf is not None:
            remaining = self.original - in_elf
            yield f"     in ELF format : {_pages(remaining)}"
        if self.original:
            yield f"  (The number of pages is reduced to {100 * remaining // self.original}%.)"
        yield f"Memory Hole     : {_pages(self.total - self.original)}"
        yield _LINE
        yield f"Total pages     : {_pages(self.total)}"
        yield f"Write bytes     : {self.written}"
        yield ""
        hits, misses = self.lookups
        rate = f", hit rate: {100 * hits / (hits + misses):.1f}%" if hits + misses else ""
        yield f"Cache hit: {hits}, miss: {misses}{rate}"
        yield ""


def _pages(count: int) -> str:
    return f"0x{count & 0xFFFFFFFF_FFFFFFFF:016x}"
