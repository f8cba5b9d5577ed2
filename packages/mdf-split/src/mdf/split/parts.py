# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a split dump, open for reading, and the checks that they are all of one dump."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mdf.core.dumps.kdump import KdumpFile, is_kdump
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, SubHeader

STEP = 1 << 20
_SPLIT_SINCE = 2  # The header version that brought start_pfn and end_pfn.


@dataclass(frozen=True)
class Part:
    """One file, which has the pages [start, end)."""

    source: Source
    sub: SubHeader
    start: int
    end: int


@dataclass(frozen=True)
class SplitSet:
    """All files of a split dump, in the order of their pages. `dump` is one of them, opened for what all share."""

    dump: KdumpFile
    parts: tuple[Part, ...]

    @cached_property
    def descriptors(self) -> int:
        """Where the page descriptors begin, in each file and in the dump that they make."""
        main = self.dump.main
        return (1 + main.sub_hdr_size + main.bitmap_blocks) * main.block_size

    @cached_property
    def data_offset(self) -> int:
        """Where page data begins: behind descriptors for all pages, in each file too."""
        return self.descriptors + DESCRIPTOR_SIZE * self.dump.pages.stored.count()


@contextmanager
def open_parts(paths: Sequence[Path]) -> Iterator[SplitSet]:
    """Opens the files, in any order. Raises FormatError if they are not all files of one split dump."""
    with ExitStack() as stack:
        sources = []
        for path in paths:
            sources.append(Source(path))
            stack.callback(sources[-1].close)
            if not is_kdump(sources[-1]):
                raise FormatError(f"{path} is not a kdump-compressed dump.")
        dump = KdumpFile(sources[0])
        if dump.main.version < _SPLIT_SINCE:
            raise FormatError(f"{paths[0]} is no file of a split dump: its header has version {dump.main.version}.")
        parts = tuple(sorted((_part(dump, source) for source in sources), key=lambda part: (part.start, part.end)))
        _check_coverage(parts, dump.max_mapnr)
        split = SplitSet(dump, parts)
        for part in parts:
            if part.source is not dump.source:
                _check_shared(split, part)
        yield split


def _part(dump: KdumpFile, source: Source) -> Part:
    layout, version = dump.layout, dump.main.version
    size = layout.main.size
    if source.read_upto(0, size) != dump.source.read(0, size, "the main header"):
        raise FormatError(
            f"{source.path} is not of the same dump as {dump.source.path}: their headers differ.",
            hint="A file that is marked incomplete joins with such files only.",
        )
    sub = layout.parse_sub(source.read(dump.page_size, layout.sub(version).size, "the sub header"), version)
    start, end = (sub.start_pfn_64, sub.end_pfn_64) if version >= 6 else (sub.start_pfn, sub.end_pfn)
    if not 0 <= start <= end <= dump.max_mapnr:
        raise FormatError(f"{source.path}: impossible range of pages {start:#x} - {end:#x}.")
    return Part(source, sub, start, end)


def _check_coverage(parts: Sequence[Part], max_mapnr: int) -> None:
    reached = 0
    for part in parts:
        if part.start > reached:
            raise _missing(reached, part.start)
        if part.start < reached:
            raise FormatError(f"{part.source.path}: pages {part.start:#x} - {reached:#x} are in another file too.")
        reached = part.end
    if reached < max_mapnr:
        raise _missing(reached, max_mapnr)


def _missing(start: int, end: int) -> FormatError:
    return FormatError(
        f"There is no file with the pages {start:#x} - {end:#x}.", hint="Give all files of one split dump."
    )


def without_part(sub: SubHeader) -> SubHeader:
    """A sub header as it is in a dump that is not split."""
    return replace(
        sub,
        split=0,
        start_pfn=0,
        end_pfn=0,
        start_pfn_64=0,
        end_pfn_64=0,
        offset_eraseinfo=0,
        size_eraseinfo=0,
    )


def _check_shared(split: SplitSet, part: Part) -> None:
    """Raises FormatError unless the file says the same about the dump, notes and bitmaps included."""
    dump = split.dump
    same = without_part(part.sub) == without_part(dump.sub)
    start = dump.page_size + dump.layout.sub(dump.main.version).size
    for at in range(start, split.descriptors, STEP):
        size = min(STEP, split.descriptors - at)
        one, other = (source.read_upto(at, size).ljust(size, b"\x00") for source in (part.source, dump.source))
        same = same and one == other
    if not same:
        raise FormatError(f"{part.source.path} is not of the same dump as {dump.source.path}: their bitmaps differ.")
