# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a kdump-compressed dump.

The header says "incomplete" until the last page is in the file, so that a run that was cut off never leaves what looks
like a good dump; pages whose data is not there have an empty descriptor.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass, replace
from itertools import accumulate

from mdf.capture.encode import Encoded
from mdf.capture.rules import DumpLevel
from mdf.capture.sinks import PartialWriteError, Sink
from mdf.core.bitmap import Bitmap
from mdf.core.dumps.codecs import Codec
from mdf.core.formats import diskdump
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, UINT32_MAX, Flag, Layout, MainHeader, SubHeader

_BITMAP_STEP = 1 << 20


@dataclass(frozen=True)
class Identity:
    """What the headers say about the crashed machine; `notes` and `eraseinfo` are carried over as they are."""

    layout: Layout
    page_size: int
    max_mapnr: int
    utsname: bytes
    timestamp: tuple[int, int]
    nr_cpus: int
    phys_base: int
    notes: bytes
    vmcoreinfo_offset: int
    vmcoreinfo_size: int
    eraseinfo: bytes = b""


class KdumpWriter:
    """Writes one dump to a sink: `begin`, then `add` for every batch, then `finish`."""

    def __init__(
        self,
        sink: Sink,
        identity: Identity,
        level: int,
        codec: Codec | None,
        *,
        pad_bitmaps: bool,
    ) -> None:
        self._sink = sink
        self._identity = identity
        self._zero = bool(level & DumpLevel.ZERO)
        self._flag = int(codec.flag) if codec else 0
        self._pad_bitmaps = pad_bitmaps
        self._main, self._sub = self._headers(level)
        self.zero_pages = 0
        self._descriptor_offset = self._data_offset = self._zero_offset = 0

    def _headers(self, level: int) -> tuple[MainHeader, SubHeader]:
        who = self._identity
        block, notes = who.page_size, who.notes
        offset_note = block + self._sub_size
        main = MainHeader(
            version=diskdump.HEADER_VERSION,
            utsname=who.utsname.ljust(diskdump.UTSNAME_SIZE, b"\x00"),
            tv_sec=who.timestamp[0],
            tv_usec=who.timestamp[1],
            status=self._flag,
            block_size=block,
            sub_hdr_size=-(-(self._sub_size + len(notes)) // block),
            bitmap_blocks=diskdump.bitmap_blocks(who.max_mapnr, block),
            max_mapnr=min(who.max_mapnr, UINT32_MAX),
            nr_cpus=who.nr_cpus,
        )
        sub = SubHeader(
            phys_base=who.phys_base & ((1 << who.layout.bits) - 1),
            dump_level=level,
            offset_note=offset_note if notes else 0,
            size_note=len(notes),
            offset_vmcoreinfo=offset_note + who.vmcoreinfo_offset if who.vmcoreinfo_size else 0,
            size_vmcoreinfo=who.vmcoreinfo_size,
            max_mapnr_64=who.max_mapnr,
        )
        return main, sub

    @property
    def _sub_size(self) -> int:
        return self._identity.layout.sub().size

    def begin(self, present: Bitmap, keep: Bitmap) -> None:
        """Writes the headers, notes and bitmaps, and the page that all zero pages share."""
        who, block = self._identity, self._identity.page_size
        self._sink.write(0, [self._packed_main(Flag.INCOMPLETE)])
        if who.notes:
            self._sink.write(block + self._sub_size, [who.notes])
        self._sink.write(block, [who.layout.pack_sub(self._sub)])
        bitmaps = (1 + self._main.sub_hdr_size) * block
        half = self._main.bitmap_blocks // 2 * block
        self._descriptor_offset = bitmaps + 2 * half
        self._data_offset = self._descriptor_offset + DESCRIPTOR_SIZE * keep.count()
        self._zero_offset = self._data_offset
        self._write_bitmap(bitmaps, present, half)
        self._write_bitmap(bitmaps + half, keep, half)
        if self._zero:
            self._sink.write(self._data_offset, [bytes(block)])
            self._data_offset += block

    def _write_bitmap(self, offset: int, bitmap: Bitmap, half: int) -> None:
        end = half if self._pad_bitmaps else bitmap.nbytes
        for at in range(0, end, _BITMAP_STEP):
            size = min(_BITMAP_STEP, end - at)
            self._sink.write(offset + at, [bitmap.read(at, size).ljust(size, b"\x00")])

    def add(self, batch: Encoded) -> None:
        """Writes the descriptors and the data of a batch.

        When the device is full, the descriptors of pages whose data is not whole are emptied before the error goes on.
        """
        descriptors = self._descriptors(batch.sizes)
        try:
            self._sink.write(self._descriptor_offset, [descriptors])
        except PartialWriteError as error:
            self._sink.correct(self._descriptor_offset, bytes(error.written))
            raise
        try:
            if batch.data:
                self._sink.write(self._data_offset, batch.data)
        except PartialWriteError as error:
            kept = _whole_pages(batch.sizes, error.written) * DESCRIPTOR_SIZE
            self._sink.correct(self._descriptor_offset + kept, bytes(len(descriptors) - kept))
            raise
        self._descriptor_offset += len(descriptors)
        self._data_offset += sum(batch.sizes)
        self.zero_pages += batch.sizes.count(0)

    def _descriptors(self, sizes: list[int]) -> bytes:
        """Each is an offset, the size and the flags in one word, and 0, as 64-bit words."""
        page_size, little = self._identity.page_size, self._identity.layout.byteorder == "little"

        def word(size: int) -> int:
            flags = self._flag if size < page_size else 0
            return size | flags << 32 if little else size << 32 | flags

        words = {size: word(size or page_size) for size in set(sizes)}
        offsets = array("Q", list(accumulate(sizes[:-1], initial=self._data_offset)))
        at = -1
        for _ in range(sizes.count(0)):
            at = sizes.index(0, at + 1)
            offsets[at] = self._zero_offset
        table = array("Q", bytes(DESCRIPTOR_SIZE * len(sizes)))
        table[0::3] = offsets
        table[1::3] = array("Q", [words[size] for size in sizes])
        if sys.byteorder != self._identity.layout.byteorder:
            table.byteswap()
        return table.tobytes()

    def finish(self) -> None:
        """Appends the erase information, and takes "incomplete" out of the header."""
        who = self._identity
        if who.eraseinfo:
            self._sink.write(self._data_offset, [who.eraseinfo])
            sub = replace(self._sub, offset_eraseinfo=self._data_offset, size_eraseinfo=len(who.eraseinfo))
            self._sink.write(who.page_size, [who.layout.pack_sub(sub)])
        self._sink.correct(0, self._packed_main(Flag(0)))

    def _packed_main(self, extra: Flag) -> bytes:
        return self._identity.layout.pack_main(replace(self._main, status=self._main.status | extra))


def _whole_pages(sizes: list[int], written: int) -> int:
    """How many pages of a batch, from its beginning, have all their data in the first `written` bytes."""
    whole = 0
    for size in sizes:
        written -= size
        if written < 0:
            break
        whole += 1
    return whole
