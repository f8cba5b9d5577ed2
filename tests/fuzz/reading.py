# SPDX-License-Identifier: GPL-2.0-or-later
"""What targets do with files, and what must be so when it went well."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from mdf import rearrange
from mdf.capture.check import State, check_dump
from mdf.core.bitmap import Bitmap, Place
from mdf.core.dumps import Dump, KdumpFile
from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.page_store import StoredPage
from mdf.core.dumps.source import Source
from mdf.core.errors import AddressError, FormatError, MdfError

_PAGES = 64
_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for outputs, in memory where that can be."""
    with TemporaryDirectory(dir=_MEMORY) as name:
        yield Path(name)


def stored_pages(dump: Dump) -> Bitmap:
    """The pages that a dump has."""
    return dump.stored(dump.present(dump.max_mapnr, Place(), partial_tail=True))


def read_some(dump: Dump) -> None:
    """Reads the first page of the first runs."""
    buffer = memoryview(bytearray(dump.page_size))
    for start, _ in islice(stored_pages(dump).runs(), _PAGES):
        try:
            dump.read_pages(start, start + 1, buffer)
            dump.read(dump.first_paddr + start * dump.page_size + 1, 16)
        except (AddressError, FormatError):
            continue


def expect_same(source: Dump, made: Dump, *, lost: int | None = None, raw: bool = True) -> None:
    """Each page of the dump that was made is in the source and the same; if not `raw`, only those that are compressed.

    Of the pages that were left out, no more than `lost` may be other than zero.
    """
    assert made.page_size == source.page_size
    has = {pfn for run in stored_pages(made).runs() for pfn in range(*run)}
    for start, end in stored_pages(source).runs():
        for pfn in range(start, end):
            page = _page(source, pfn)
            if pfn in has:
                has.remove(pfn)
                # The page that zero pages share may be damaged; it is written anew.
                instead = bytes(made.page_size) if _is_zero(source, pfn) else page
                assert _page(made, pfn) in (page, instead) or not (raw or _is_packed(source, pfn)), f"page {pfn:#x}"
            elif lost is not None and page and any(page):
                lost -= 1
                assert lost >= 0, f"page {pfn:#x} is missing"
    assert not has, "there are pages that were not there before"


def _page(dump: Dump, pfn: int) -> bytes | None:
    """A page; None if it can't be read."""
    page = bytearray(dump.page_size)
    try:
        dump.read_pages(pfn, pfn + 1, memoryview(page))
    except (AddressError, FormatError):
        return None
    return bytes(page)


def _is_zero(dump: Dump, pfn: int) -> bool:
    stored = _stored(dump, pfn)
    return stored is not None and stored.zero


def _is_packed(dump: Dump, pfn: int) -> bool:
    stored = _stored(dump, pfn)
    return stored is not None and stored.flags != 0


def _stored(dump: Dump, pfn: int) -> StoredPage | None:
    try:
        return next(dump.pages.pages(pfn, pfn + 1)) if isinstance(dump, KdumpFile) else None
    except (AddressError, FormatError):
        return None


def expect_unfinished(*files: Path) -> None:
    """What a failed run leaves is no dump that passes for complete."""
    if all(path.exists() for path in files):
        try:
            state = check_dump(files).state
        except MdfError:
            return
        assert state is not State.SOUND


def rearranged(stream: Path, *, keep_partial: bool) -> None:
    """What is read in place of a stream is what rearranging makes of it."""
    with folder() as place:
        target = place / "dump"
        source = os.open(stream, os.O_RDONLY)
        try:
            rearrange.rearrange(source, str(target), keep_partial=keep_partial)
        except (rearrange.RearrangeError, OSError):
            assert not target.exists()
        finally:
            os.close(source)
        assert {*map(str, place.iterdir())} <= {str(target), rearrange.partial_name(str(target))}
        raw = Source(stream)
        try:
            inside = FlattenedSource(raw)
            if target.exists() and inside.size <= 1 << 22:
                assert inside.read_upto(0, inside.size) == target.read_bytes()
        finally:
            raw.close()
