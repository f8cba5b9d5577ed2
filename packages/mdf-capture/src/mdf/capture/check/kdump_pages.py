# SPDX-License-Identifier: GPL-2.0-or-later
"""The descriptors and pages of a kdump-compressed dump: each in its place, each a page, nothing left over.

Page data lies in the order of the page frames without gaps, so that every offset is known before it is read: a
descriptor that was changed or swapped, and a bit of bitmap 2 that was, show at once.
"""

from __future__ import annotations

from collections.abc import Callable

from mdf.capture.check.verdict import Findings
from mdf.core.dumps import KdumpFile
from mdf.core.dumps.codecs import PageDecoder
from mdf.core.dumps.parts import Part
from mdf.core.errors import FormatError
from mdf.core.formats.diskdump import COMPRESSIONS, DESCRIPTOR_SIZE, descriptor_struct

_BATCH = 1 << 12

SeePage = Callable[[int, bytes], None]


class PageCheck:
    """Goes through all pages of one file of a dump, and shows each to `see` (pfn, page). `pages` counts them."""

    def __init__(self, dump: KdumpFile, part: Part, findings: Findings, see: SeePage) -> None:
        self._dump = dump
        self._part = part
        self._source = part.source
        self._findings = findings
        self._see = see
        self._decoder = PageDecoder(dump.page_size)
        self._flag = dump.main.status & int(COMPRESSIONS)
        self._data = self._reached = dump.pages.data_offset
        self._lost = 0
        self.pages = 0

    def run(self) -> None:
        """Checks everything from the first descriptor to the end of the file."""
        store = self._dump.pages
        if self._dump.level & 1:
            self._check_zero_page()
        done = 0
        for first, last in store.stored.runs(self._part.start, self._part.end):
            for at in range(first, last, _BATCH):
                upto = min(at + _BATCH, last)
                self._check_batch(at, upto, store.descriptors + DESCRIPTOR_SIZE * done)
                done += upto - at
        if self._lost:
            self._findings.missing.append(f"{self._lost} of {done} pages are missing in {self._source.path}")
        self._check_rest(store.descriptors + DESCRIPTOR_SIZE * done)
        self._check_end()

    def _check_zero_page(self) -> None:
        size = self._dump.page_size
        page = self._source.read_upto(self._data, size)
        if len(page) == size:
            self._findings.expect(not any(page), f"the page that zero pages share, at {self._data:#x}, is not zero")
        elif not self._dump.incomplete:
            self._findings.damaged(f"the file ends before the page that zero pages share, at {self._data:#x}")
        self._reached += size

    def _check_batch(self, start: int, end: int, where: int) -> None:
        size = (end - start) * DESCRIPTOR_SIZE
        data = self._source.read_upto(where, size)
        if len(data) < size and not self._dump.incomplete:
            self._findings.damaged(f"the file ends in the descriptor of page {start + len(data) // DESCRIPTOR_SIZE:#x}")
        entries = descriptor_struct(self._dump.byteorder).iter_unpack(data.ljust(size, b"\x00"))
        for pfn, (offset, length, flags, page_flags) in enumerate(entries, start):
            if not offset and self._dump.incomplete:
                self._lost += 1
            elif page_flags or not self._plausible(offset, length, flags):
                self._findings.damaged(
                    f"the descriptor of page {pfn:#x}: {length} bytes at {offset:#x}, flags {flags:#x}"
                )
            elif self._dump.level & 1 and offset == self._data:
                self._see_page(pfn, bytes(self._dump.page_size))
            else:
                self._check_page(pfn, offset, length, flags)

    def _plausible(self, offset: int, length: int, flags: int) -> bool:
        size = self._dump.page_size
        whole = length == size and not flags
        return offset >= self._data and (whole or (0 < length < size and flags == self._flag != 0))

    def _check_page(self, pfn: int, offset: int, length: int, flags: int) -> None:
        if offset != self._reached:
            kind = "overlaps the page before" if offset < self._reached else "leaves a gap"
            self._findings.damaged(
                f"page {pfn:#x} is not in its place: {offset:#x} {kind}, it belongs at {self._reached:#x}"
            )
        self._reached = offset + length
        data = self._source.read_upto(offset, length)
        if len(data) < length:
            if self._dump.incomplete:
                self._lost += 1
            else:
                self._findings.damaged(f"the file ends in page {pfn:#x}, at {offset:#x}")
            return
        try:
            self._see_page(pfn, self._decoder.decode(data, flags, pfn))
        except FormatError as error:
            self._findings.damaged(str(error))

    def _see_page(self, pfn: int, page: bytes) -> None:
        self.pages += 1
        self._see(pfn, page)

    def _check_rest(self, where: int) -> None:
        """A file of a split dump has room for the descriptors of all pages; what is not its own is empty."""
        for at in range(where, self._data, 1 << 20):
            if any(self._source.read_upto(at, min(1 << 20, self._data - at))):
                self._findings.damaged(f"there are descriptors of pages that the file does not have, at {at:#x}")
                return

    def _check_end(self) -> None:
        sub, size = self._part.sub, self._source.size
        end = self._reached if self.pages or self._dump.level & 1 else min(self._reached, size)
        if sub.size_eraseinfo:
            self._findings.expect(
                sub.offset_eraseinfo == end, f"the erase information at {sub.offset_eraseinfo:#x} belongs at {end:#x}"
            )
            end += sub.size_eraseinfo
        if self._dump.incomplete:
            return  # What was being written when there was no more room.
        if size > end:
            self._findings.damaged(f"there are {size - end} bytes behind the last page, at {end:#x}")
        elif size < end and not self._findings.count:
            self._findings.damaged(f"the file ends at {size:#x}, {end - size} bytes too early")
