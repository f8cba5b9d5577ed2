# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of a split dump, and the checks that they are all of one dump, and all there is of it.

Each has the headers, notes and bitmaps of the whole dump, but descriptors and data of the pages of its own range only
(kdump-compressed format since header version 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError
from mdf.core.formats.diskdump import Layout, MainHeader, SubHeader

_STEP = 1 << 20
_HINT = "Give all files of the split dump: to mdf-reassemble, or each with --diskset."


@dataclass(frozen=True)
class Part:
    """One file, which has the pages [start, end): all pages if the dump is not split."""

    source: Source
    sub: SubHeader
    start: int
    end: int


@dataclass(frozen=True)
class SharedHeaders:
    """What all files of a split dump have in common, read from one of them. `descriptors` is where bitmaps end."""

    source: Source
    layout: Layout
    main: MainHeader
    sub: SubHeader
    max_mapnr: int
    descriptors: int

    def parts(self, others: Sequence[Source]) -> tuple[Part, ...]:
        """The file that was read and the `others`, which may come in any order, in the order of their pages.

        Raises FormatError if one is not of this dump, or pages are in none of them or in two.
        """
        if not self.sub.split and not others:
            return (Part(self.source, self.sub, 0, self.max_mapnr),)
        parts = sorted(map(self._part, (self.source, *others)), key=lambda part: (part.start, part.end))
        self._check_coverage(parts)
        for part in parts:
            if part.source is not self.source:
                self._check_shared(part)
        return tuple(parts)

    def _part(self, source: Source) -> Part:
        version, size = self.main.version, self.layout.main.size
        if source.read_upto(0, size) != self.source.read(0, size, "the main header"):
            raise self._foreign(source, "headers", "A file that is marked incomplete goes with such files only.")
        data = source.read(self.main.block_size, self.layout.sub(version).size, "the sub header")
        sub = self.layout.parse_sub(data, version)
        if not sub.split:
            raise FormatError(f"{source.path} is no file of a split dump.")
        start, end = (sub.start_pfn_64, sub.end_pfn_64) if version >= 6 else (sub.start_pfn, sub.end_pfn)
        if not 0 <= start <= end <= self.max_mapnr:
            raise FormatError(f"{source.path}: impossible range of pages {start:#x} - {end:#x}.")
        return Part(source, sub, start, end)

    def _check_coverage(self, parts: Sequence[Part]) -> None:
        reached = 0
        for part in parts:
            if part.start > reached:
                raise self._missing(reached, part.start)
            if part.start < reached:
                raise FormatError(f"{part.source.path}: pages {part.start:#x} - {reached:#x} are in another file too.")
            reached = part.end
        if reached < self.max_mapnr:
            raise self._missing(reached, self.max_mapnr)

    def _missing(self, start: int, end: int) -> FormatError:
        return FormatError(
            f"{self.source.path} is of a split dump, and there is no file with the pages {start:#x} - {end:#x}.",
            hint=_HINT,
        )

    def _check_shared(self, part: Part) -> None:
        """Raises FormatError unless the file says the same about the dump, notes and bitmaps included."""
        same = without_part(part.sub) == without_part(self.sub)
        start = self.main.block_size + self.layout.sub(self.main.version).size
        for at in range(start, self.descriptors, _STEP):
            size = min(_STEP, self.descriptors - at)
            # A file without pages may end in the bitmaps: what is not there is zero.
            one, other = (source.read_upto(at, size).ljust(size, b"\x00") for source in (part.source, self.source))
            same = same and one == other
        if not same:
            raise self._foreign(part.source, "bitmaps")

    def _foreign(self, source: Source, what: str, hint: str | None = None) -> FormatError:
        return FormatError(
            f"{source.path} is not of the same dump as {self.source.path}: their {what} differ.", hint=hint
        )


def without_part(sub: SubHeader) -> SubHeader:
    """A sub header as it is in a dump that is not split, without erase information."""
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
