# SPDX-License-Identifier: GPL-2.0-or-later
"""Where domain 0's page frames (pseudo-physical, what Linux calls physical) are in the machine's memory.

A list of lists: a page of page frame numbers of pages of page frame numbers of leaves, which have a number for each
page frame. The first two end at the first 0.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator

from mdf.core.bitmap import Bitmap
from mdf.core.dumps import Dump
from mdf.core.errors import AddressError, MissingInfoError

_PAGE = 1 << 12
_PER_PAGE = _PAGE // 8
# All ones is "no page". Bits 62 (the same in the machine) and 63 (another domain's) are no part of the number.
_FRAME = (1 << 52) - 1
_LEAVES_KEPT = 128


class P2m:
    """The list whose root is at page frame `frame_list_list`; `size` is the number of page frames it has.

    Raises MissingInfoError if the hypervisor does not say where it is, AddressError if it is not in the dump.
    """

    def __init__(self, dump: Dump, frame_list_list: int) -> None:
        if not frame_list_list:
            raise MissingInfoError("Can't get the symbol of dom0's pfn_to_mfn_frame_list_list: Xen does not say it.")
        self._dump = dump
        self._leaves = array("Q")
        for page in _until_zero(self._frames(frame_list_list)):
            self._leaves.extend(_until_zero(self._frames(page)))
        self.size = len(self._leaves) * _PER_PAGE
        self._kept: dict[int, array[int]] = {}

    def _frames(self, page: int) -> array[int]:
        try:
            frames = array("Q", self._dump.read((page & _FRAME) * _PAGE, _PAGE))
        except AddressError as error:
            raise AddressError(f"Can't read dom0's page frame list at page {page:#x}: {error}") from error
        if sys.byteorder != self._dump.byteorder:
            frames.byteswap()
        return frames

    def _leaf(self, number: int) -> array[int]:
        leaf = self._kept.get(number)
        if leaf is None:
            if len(self._kept) >= _LEAVES_KEPT:
                del self._kept[next(iter(self._kept))]
            leaf = self._kept[number] = self._frames(self._leaves[number])
        return leaf

    def machine_address(self, paddr: int) -> int:
        """The machine address of a pseudo-physical address. Raises AddressError for one that is not in the list."""
        number = paddr // _PAGE
        if not 0 <= number < self.size:
            raise AddressError(f"Invalid mfn_idx({number}): dom0 has {self.size} page frames.")
        frame = self._leaf(number // _PER_PAGE)[number % _PER_PAGE] & _FRAME
        return frame * _PAGE + paddr % _PAGE

    def runs(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Page frames of [start, end) that are in a row in the machine too: (first, last, machine frame of the first).

        Those that are nowhere in the machine's memory are in none.
        """
        limit, first, frame = self._dump.max_mapnr, start, -1
        for base in range(start - start % _PER_PAGE, min(end, self.size), _PER_PAGE):
            leaf = self._leaf(base // _PER_PAGE)
            at, stop = max(start, base), min(end, base + _PER_PAGE)
            for number, value in enumerate(leaf[at - base : stop - base], at):
                value &= _FRAME
                if frame >= 0 and value == frame + number - first:
                    continue
                if frame >= 0:
                    yield first, number, frame
                first, frame = number, value if value < limit else -1
        if frame >= 0:
            yield first, min(end, self.size), frame

    def data_column(self, start: int, end: int) -> bytes:
        """1 for each page frame of [start, end) whose page the dump has data of."""
        column = bytearray(end - start)
        for first, last, frame in self.runs(start, end):
            begin = frame & ~7
            found = self._dump.data_column(begin, frame + last - first)[frame - begin :]
            column[first - start : last - start] = found
        return bytes(column)

    def clear(self, keep: Bitmap, start: int, column: bytes) -> None:
        """Clears in `keep`, a bitmap of the machine, the pages whose byte in `column`, from `start` on, is 1."""
        for first, last, frame in self.runs(start, start + len(column)):
            part = column[first - start : last - start]
            if part == b"\x01":  # Memory that was ballooned has many runs of a page.
                keep.clear_range(frame, frame + 1)
            elif 1 in part:
                keep.clear_column(frame & ~7, bytes(frame & 7) + part)


def _until_zero(frames: array[int]) -> array[int]:
    return frames[: frames.index(0)] if 0 in frames else frames
