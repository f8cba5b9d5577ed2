# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides for one page after the other, in the order of the rules."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from oracle.freelist import free_blocks
from oracle.image import Image, open_image
from oracle.memmap import Piece, pieces
from oracle.page import Page, Reader

GROUP = 512


@dataclass
class Counters:
    """Pages by class, as in the report."""

    original: int = 0
    hole: int = 0
    zero: int = 0
    cache: int = 0
    cache_private: int = 0
    user: int = 0
    free: int = 0
    hwpoison: int = 0
    offline: int = 0

    @property
    def excluded(self) -> int:
        """The sum of all classes."""
        return sum(getattr(self, field.name) for field in fields(self) if field.name not in ("original", "hole"))


Bitmap = list[bool]


def filter_pages(
    source: Image | bytes | str | Path, level: int, linear_base: int | None = None
) -> tuple[bytes, bytes, Counters]:
    """The two bitmaps of a kdump-compressed dump, padded to whole pages, and the counters.

    The zero counter counts pages of zeros among the pages kept; their bits stay set. The last page of a segment, where
    that ends inside a page, is lost when the number of page frames is no multiple of four, as in the original.
    """
    image = source if isinstance(source, Image) else open_image(source, linear_base)
    info = image.info
    page_size = 4096 if info is None else int(info.lines["PAGESIZE"])
    base = image.first_paddr
    top = max(load.paddr + load.memsz for load in image.loads) - base
    max_mapnr = -(-top // page_size)
    parts: list[Piece] = []
    if info is not None:
        parts = pieces(image, info, max_mapnr)
        max_mapnr = min(max_mapnr, max((part.end for part in parts if part.address), default=max_mapnr))
    counters = Counters()
    exists = [False] * max_mapnr
    counters.hole = max_mapnr
    for load in image.loads:
        end = load.paddr + load.memsz - base
        last = -(-end // page_size) if max_mapnr % 4 == 0 else end // page_size
        for pfn in range((load.paddr - base) // page_size, min(last, max_mapnr)):
            exists[pfn] = True
            counters.hole -= 1
    counters.original = max_mapnr - counters.hole
    kept = list(exists)
    for load in image.loads:
        if load.filesz < load.memsz:
            end = -(-(load.paddr - base + load.memsz) // page_size)
            for pfn in range(-(-(load.paddr - base + load.filesz) // page_size), min(end, max_mapnr)):
                kept[pfn] = False
    if info is not None:
        reader = Reader.of(image, info)
        if level & 14 or reader.hwpoison is not None or (level & 16 and reader.has_buddy):
            _scan(image, reader, parts, level, page_size, kept, counters)
        if level & 16 and not reader.has_buddy:
            for pfn, order in free_blocks(image, info, parts):
                _clear(kept, pfn, 1 << order)
                counters.free += 1 << order
    if level & 1:
        zero = bytes(page_size)
        counters.zero = sum(
            kept[pfn] and image.page(base + pfn * page_size, page_size) == zero for pfn in range(max_mapnr)
        )
    length = -(-max_mapnr // (8 * page_size)) * page_size
    return _pack(exists, length), _pack(kept, length), counters


def _scan(
    image: Image, reader: Reader, parts: list[Piece], level: int, page_size: int, kept: Bitmap, counters: Counters
) -> None:
    for part in parts:
        pfn = part.start
        while part.address and pfn < part.end:
            if not image.is_there(image.first_paddr + pfn * page_size):
                pfn += 1
                continue
            at = part.address + (pfn - part.start) * reader.size
            page = reader.page(at)
            # a head is never the last one of its group: its tail is not at hand there
            order = reader.order(at, page) if pfn % GROUP != GROUP - 1 and pfn + 1 < part.end else 0
            if order >= image.bits or pfn % (1 << order):
                order = 0
            is_last = pfn % GROUP == GROUP - 1
            verdict = _decide(reader, at, page, level, order, is_last)
            if verdict is None:
                pfn += 1
                continue
            name, count = verdict
            _clear(kept, pfn, count)
            setattr(counters, name, getattr(counters, name) + count)
            pfn += count


def _decide(reader: Reader, at: int, page: Page, level: int, order: int, is_last: bool) -> tuple[str, int] | None:
    """The counter and the number of pages of the first rule that holds; None keeps the page."""
    if page.head & 1:
        return None
    if level & 16 and reader.is_buddy(page):
        if reader.free_areas is not None and page.private >= reader.free_areas:
            return None
        return "free", 1 << page.private
    if level & 16 and reader.is_unaccepted(page):
        return "free", 1 << ((reader.free_areas or 1) - 1)
    count = 1 << order
    is_cache, is_anon, is_private = reader.is_cache(page), reader.is_anon(page), reader.is_private(page)
    if level & 2 and is_cache and not is_private and not is_anon:
        return "cache", count
    if level & 4 and is_cache and not is_anon:
        return ("cache_private" if is_private else "cache"), count
    if level & 8 and (is_anon or (not is_last and reader.is_hugetlb(at, page))):
        return "user", count
    if reader.is_hwpoison(page):
        return "hwpoison", count
    if reader.is_offline(page):
        return "offline", count
    return None


def _clear(kept: Bitmap, pfn: int, count: int) -> None:
    for each in range(pfn, min(pfn + count, len(kept))):
        kept[each] = False


def _pack(bits: Bitmap, length: int) -> bytes:
    out = bytearray(length)
    for pfn, bit in enumerate(bits):
        out[pfn // 8] |= bit << pfn % 8
    return bytes(out)
