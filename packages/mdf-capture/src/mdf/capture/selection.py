# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages that a dump level keeps, and the report of those it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mdf.capture.page_filter import KnownKernel, SeePages, exclude_pages, needs_scan
from mdf.capture.report import Report
from mdf.capture.rules import DumpLevel, Kind
from mdf.capture.survey import Survey
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import Dump
from mdf.core.messages import Messages


@dataclass(frozen=True)
class Selection:
    """What `level` keeps of a dump: `keep` is bitmap 2, `excluded` the number of pages of each kind left out.

    `further` are pages left out by other rules: what they are, and how many.
    """

    seen: Survey
    level: int
    keep: Bitmap
    excluded: Mapping[Kind, int]
    further: tuple[tuple[str, int], ...] = ()

    def report(self, zero: int, written: int, elf_excluded: int | None = None) -> Report:
        """The report of a dump of these pages; `elf_excluded` is None for the kdump-compressed format."""
        seen, excluded = self.seen, self.excluded
        return Report(
            level=self.level,
            total=seen.max_mapnr,
            original=seen.count_present(elf_excluded is not None),
            zero=zero,
            cache=excluded[Kind.CACHE],
            cache_private=excluded[Kind.CACHE_PRIVATE],
            user=excluded[Kind.USER],
            free=excluded[Kind.FREE],
            hwpoison=excluded[Kind.HWPOISON],
            offline=excluded[Kind.OFFLINE],
            further=self.further,
            written=written,
            elf_excluded=elf_excluded,
            lookups=seen.known.kernel.machine.lookups if seen.known else (0, 0),
        )


def effective_level(dump: Dump, requested: int, messages: Messages) -> int:
    """A dump level, with the bits of the level that a dump was made with; says so if they are more."""
    level = requested | dump.level
    if level != requested:
        made = f"{dump.source.path} was created by dump_level({dump.level})"
        messages.common(f"dump_level is changed to {level}, because {made}.", end="")
    return level


def select(seen: Survey, requested: int, messages: Messages, *, elf: bool = False) -> Selection:
    """Selects pages by a dump level; what the dump itself was made without stays left out."""
    level = effective_level(seen.dump, requested, messages)
    if seen.known is None or seen.trusted:
        keep = seen.dump.stored(seen.present)
        return Selection(seen, level, keep, exclude(seen, level, keep, messages, elf=elf))
    return _checked(seen, seen.known, level, messages, elf)


def _checked(seen: Survey, known: KnownKernel, level: int, messages: Messages, elf: bool) -> Selection:
    """The same, without the classes of pages that can't be right: these are kept, until there is no doubt."""
    # Here, because a filter that is trusted does without.
    from mdf.capture.selfcheck import OwnWords, SelfCheck, asked_for, described, without

    doubted: set[Kind] = set()
    words, twice = OwnWords(known.kernel), _covered_twice(seen.windows(elf))
    while True:
        keep = seen.dump.stored(seen.present)
        check = SelfCheck(
            known,
            words,
            keep,
            level,
            free=bool(level & DumpLevel.FREE and seen.by_struct_page),
            lacking=seen.present.count() - keep.count(),
            twice=twice,
        )
        counters = exclude(replace(seen, known=known), level, keep, messages, elf=elf, see=check.see)
        doubts = check.doubts(counters, keep)
        new = {kind for doubt in doubts for kind in doubt.kinds} & asked_for(level) - doubted
        if not new:
            break
        doubted |= new
        for line in described(doubts, level):
            messages.common(f"{line} (--trust-filter excludes them).")
        level, layout = without(doubted, level, known.layout)
        known = replace(known, layout=layout)
    for line in check.numbers(counters):
        messages.report(line)
    return Selection(seen, level | seen.dump.level, keep, counters)


def _covered_twice(windows: Iterable[tuple[int, int]]) -> int:
    """How many pages are in more than one window, once for each further one."""
    twice, top = 0, 0
    for start, end in sorted(windows):
        twice += max(min(end, top) - start, 0)
        top = max(top, end)
    return twice


def exclude(
    seen: Survey, level: int, keep: Bitmap, messages: Messages, *, elf: bool = False, see: SeePages | None = None
) -> dict[Kind, int]:
    """Clears what a dump level leaves out in `keep`; the number of pages of each kind.

    `see` is shown every chunk of pages, with the kind that each page was given.
    """
    counters = dict.fromkeys(Kind, 0)
    known = seen.known
    if known is None:
        return counters
    if needs_scan(level, known.layout, seen.by_struct_page):
        with messages.step("Excluding unnecessary pages") as progress:
            scan_level = level if seen.by_struct_page else level & ~DumpLevel.FREE
            for window in seen.windows(elf):
                exclude_pages(known, scan_level, keep, window, counters, messages.common, progress, see)
    if level & DumpLevel.FREE and not seen.by_struct_page:
        from mdf.capture.free_lists import exclude_free_pages

        messages.debug("Free pages are found by the lists of the buddy system.")
        with messages.step("Excluding free pages"):
            counters[Kind.FREE] += exclude_free_pages(known.kernel, known.pieces, keep)
    return counters
