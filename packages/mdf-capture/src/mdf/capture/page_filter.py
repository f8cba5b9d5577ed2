# SPDX-License-Identifier: GPL-2.0-or-later
"""The page filter: from the memory map to the bitmap of pages to keep, window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mdf.capture.classify import classify
from mdf.capture.layout import PageLayout
from mdf.capture.pages import Pages
from mdf.capture.rules import RULES, DumpLevel, Kind
from mdf.core.bitmap import CHUNK, Bitmap
from mdf.core.errors import AddressError
from mdf.core.kernel import Kernel, MemMap
from mdf.core.messages import Progress

_GROUP = 512  # Struct pages are there for whole groups, or for none of a group.

_SCANNED = DumpLevel.CACHE | DumpLevel.CACHE_PRIVATE | DumpLevel.USER
SeePages = Callable[[Pages, bytearray], None]

_DROP = bytes(min(kind, 1) for kind in range(256))


@dataclass(frozen=True)
class KnownKernel:
    """The crashed kernel, and what the filter needs to know of it.

    `data_column` is `Dump.data_column` in the kernel's own page frames, which are not the machine's on top of Xen.
    """

    kernel: Kernel
    pieces: list[MemMap]
    layout: PageLayout
    data_column: Callable[[int, int], bytes]


def needs_scan(level: int, layout: PageLayout, by_struct_page: bool) -> bool:
    """Whether a dump level needs the struct pages: for its own sake, or as poisoned pages are never kept.

    `by_struct_page` says that free pages are told by their struct page.
    """
    return bool(level & _SCANNED or layout.hwpoison is not None or (level & DumpLevel.FREE and by_struct_page))


def exclude_pages(
    known: KnownKernel,
    level: int,
    keep: Bitmap,
    window: tuple[int, int],
    counters: dict[Kind, int],
    warn: Callable[[str], None],
    progress: Progress,
    see: SeePages | None = None,
) -> None:
    """Clears in `keep` the pages of a window that the rules leave out at a dump level, and counts them in `counters`.

    `see` is shown every chunk of pages, with the kind that each page was given.

    Raises AddressError if struct pages of memory that the dump has cannot be read.
    """
    kernel, layout = known.kernel, known.layout
    reader = _StructPages(kernel, layout)
    for piece in known.pieces:
        resume = piece.pfn_start  # Behind the block that was left out last.
        for start, end in _chunks(max(piece.pfn_start, window[0]), min(piece.pfn_end, window[1])):
            progress.update(start, keep.size)
            data = bytearray(known.data_column(start & ~7, end)[start & 7 :])
            if resume > start:
                covered = min(resume, end) - start
                data[:covered] = bytes(covered)
            if not any(data):
                continue
            pages = Pages(reader.read(piece, start, end, data), start, layout)
            kinds, beyond = classify(pages, level, int.from_bytes(data, "little"), warn)
            _clear(keep, start, kinds, counters)
            if see:
                see(pages, kinds)
            if beyond:
                kind, resume = beyond
                counters[kind] += max(min(resume, window[1]) - end, 0)
                keep.clear_range(end, resume)


def _chunks(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of [start, stop), cut where chunks end."""
    while start < stop:
        end = min((start | CHUNK - 1) + 1, stop)
        yield start, end
        start = end


def _clear(keep: Bitmap, start: int, kinds: bytearray, counters: dict[Kind, int]) -> None:
    found = False
    for kind in {rule.kind for rule in RULES}:
        count = kinds.count(kind)
        if count:
            counters[kind] += count
            found = True
    if found:
        keep.clear_column(start & ~7, bytes(start & 7) + kinds.translate(_DROP))


class _StructPages:
    """Reads the struct pages of a window of a piece."""

    def __init__(self, kernel: Kernel, layout: PageLayout) -> None:
        self._kernel = kernel
        self._size = layout.size

    def read(self, piece: MemMap, start: int, end: int, data: bytearray) -> bytes:
        """The struct pages of [start, end). Those of groups without a page in `data` may not exist: zeros then."""
        address = piece.address + (start - piece.pfn_start) * self._size
        try:
            return self._kernel.read(address, (end - start) * self._size)
        except AddressError:
            return self._read_groups(address, start, end, data)

    def _read_groups(self, address: int, start: int, end: int, data: bytearray) -> bytes:
        pages = bytearray((end - start) * self._size)
        first = start
        while first < end:
            last = min((first | _GROUP - 1) + 1, end)
            needed = data.find(1, first - start, last - start)
            if needed >= 0:
                at, size = needed * self._size, (last - start - needed) * self._size
                try:
                    pages[at : at + size] = self._kernel.read(address + at, size)
                except AddressError as error:
                    raise AddressError(f"Can't read the struct pages of page {start + needed:#x}: {error}") from error
            first = last
        return bytes(pages)
