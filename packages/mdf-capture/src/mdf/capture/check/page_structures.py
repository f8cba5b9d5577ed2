# SPDX-License-Identifier: GPL-2.0-or-later
"""The bitmaps of a dump, held against the page structures that are in the dump itself.

Bitmap 2 is what a filter makes of bitmap 1: filtering again, from bitmap 1, shows pages that are missing without a
reason, and holes where the kernel has memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from mdf.capture.check.verdict import Findings
from mdf.capture.classify import classify
from mdf.capture.elf_writer import RUN_LEFT_OUT
from mdf.capture.options import Options
from mdf.capture.page_filter import KnownKernel
from mdf.capture.pages import Pages
from mdf.capture.rules import DumpLevel, Kind
from mdf.capture.selection import exclude
from mdf.capture.survey import Survey, survey
from mdf.core.bitmap import Bitmap, Place
from mdf.core.dumps import KdumpFile
from mdf.core.errors import AddressError, MdfError
from mdf.core.formats.diskdump import Flag
from mdf.core.messages import Messages

_ALL = 31
_BITMAPS = "the bitmaps by page structures"


def check_bitmaps(dump: KdumpFile, findings: Findings) -> None:
    """Adds what contradicts the page structures, or that there are none to be read."""
    stray = next(_beyond(dump.pages.stored, dump.present(dump.max_mapnr, Place(), partial_tail=True)), None)
    if stray:
        findings.damaged(f"page {stray[0]:#x} is in bitmap 2, but not in bitmap 1")
    if dump.info is None:
        findings.unchecked.append((_BITMAPS, "no VMCOREINFO"))
        return
    try:
        seen = survey(dump, Options(dump.source.path, dump_levels=(_ALL,)), Messages(0))
        if seen.known:
            _check(dump, seen, seen.known, findings)
    except MdfError as error:
        findings.unchecked.append((_BITMAPS, str(error)))


def _check(dump: KdumpFile, seen: Survey, known: KnownKernel, findings: Findings) -> None:
    present = seen.present
    keep = present.copy()
    covered = sum(exclude(seen, dump.level & _ALL, keep, Messages(0)).values())
    _check_missing(dump, present, keep, findings)
    if covered > present.count() - keep.count():
        findings.damaged("there are holes in blocks of memory that the kernel has in one piece (bitmap 1)")
    for pfn, kind in _holes(known, present):
        findings.damaged(f"page {pfn:#x} is a hole in bitmap 1, but the kernel has it as {kind.name}")
    exclude(seen, 0, present, Messages(0))
    for bit in (DumpLevel.CACHE, DumpLevel.CACHE_PRIVATE, DumpLevel.USER, DumpLevel.FREE):
        keep = present.copy()
        if dump.level & bit:
            exclude(seen, int(bit), keep, Messages(0))
            _check_class(dump, bit, list(_beyond(present, keep)), findings)
            present = keep


def _check_missing(dump: KdumpFile, present: Bitmap, keep: Bitmap, findings: Findings) -> None:
    """Of a filtered ELF dump, long runs of pages are missing whatever the level that a dump was made of it with."""
    long_runs = 0
    for start, end in _joined(_beyond(present, dump.pages.stored)):
        lost = keep.count(start, end)
        if not lost:
            continue
        if end - start >= RUN_LEFT_OUT or dump.main.status & Flag.EXCLUDED_VMEMMAP:
            long_runs += lost
        else:
            findings.damaged(f"{lost} pages at {start:#x} are missing, which dump level {dump.level} keeps (bitmaps)")
    if long_runs:
        findings.remarks.append(
            f"{long_runs} pages are missing that dump level {dump.level} keeps: right if it was made of a filtered ELF "
            "dump, or with -e"
        )


def _check_class(dump: KdumpFile, bit: DumpLevel, pages: list[tuple[int, int]], findings: Findings) -> None:
    left = sum(dump.pages.stored.count(start, end) for start, end in pages)
    what = f"{bit.name} pages are there, which dump level {dump.level} leaves out"
    if left and left == sum(end - start for start, end in pages):
        findings.damaged(f"all {left} {what}")
    elif left:
        findings.remarks.append(f"{left} {what}")


def _holes(known: KnownKernel, present: Bitmap) -> Iterator[tuple[int, Kind]]:
    """The pages at the edges of holes that the kernel has in use as something that a filter knows."""
    size = known.layout.size
    for (_, start), (end, _) in pairwise(_joined(present.runs())):
        for pfn in sorted({start, end - 1}):
            piece = next((piece for piece in known.pieces if piece.pfn_start <= pfn < piece.pfn_end), None)
            if piece is None:
                continue
            try:
                data = known.kernel.read(piece.address + (pfn - piece.pfn_start) * size, size)
            except AddressError:
                continue
            [kind], _ = classify(Pages(data, pfn, known.layout), _ALL, 1, lambda _: None)
            # Structures that nobody has initialised are all ones where the kernel checks for that.
            if kind and data.strip(b"\xff"):
                yield pfn, Kind(kind)


def _beyond(bitmap: Bitmap, other: Bitmap) -> Iterator[tuple[int, int]]:
    """The ranges that are set in `bitmap` and not in `other`."""
    rest = bitmap.copy()
    for start, end in other.runs():
        rest.clear_range(start, end)
    return rest.runs()


def _joined(runs: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Runs that touch become one."""
    current: tuple[int, int] | None = None
    for start, end in runs:
        if current and current[1] == start:
            current = (current[0], end)
        else:
            if current:
                yield current
            current = (start, end)
    if current:
        yield current
