# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a kdump-compressed dump.

In a file, the header says "incomplete" until the last page is there, so that a run that was cut off never leaves what
looks like a good dump; pages whose data is not there have an empty descriptor. A stream shows the same by its end.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from mdf.capture.encode import Encoded
from mdf.capture.page_area import BlockedArea, DirectArea, PageArea
from mdf.capture.rules import DumpLevel
from mdf.capture.sinks import Sink
from mdf.core.bitmap import Bitmap
from mdf.core.formats import diskdump
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, UINT32_MAX, Flag, Layout, MainHeader, SubHeader

if TYPE_CHECKING:
    from mdf.core.dumps.codecs import Codec

_BITMAP_STEP = 4 << 20
_BITMAP_BLOCK = 1 << 12


@dataclass(frozen=True)
class Identity:
    """What the headers say about the crashed machine; `notes` and `eraseinfo` are carried over as they are.

    A dump of an `incomplete` dump is incomplete too.
    """

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
    incomplete: bool = False


class KdumpWriter:
    """Writes one dump to a sink: `begin`, then `add` for every batch, then `finish`, then `seal`.

    A file of a split dump has the pages of `part`, [start, end), and the bitmaps of all.
    """

    def __init__(
        self,
        sink: Sink,
        identity: Identity,
        level: int,
        codec: Codec | None,
        *,
        pad_bitmaps: bool,
        block_order: int,
        part: tuple[int, int] | None = None,
    ) -> None:
        self._sink = sink
        self._identity = identity
        self._zero = bool(level & DumpLevel.ZERO)
        self._flag = int(codec.flag) if codec else 0
        self._pad_bitmaps = pad_bitmaps
        self._block_order = block_order
        self._main, self._sub = self._headers(level, part)
        self.zero_pages = 0
        self._data_offset = self._zero_offset = 0
        self._area: PageArea

    def _headers(self, level: int, part: tuple[int, int] | None) -> tuple[MainHeader, SubHeader]:
        who = self._identity
        start, end = part or (0, 0)
        block, notes = who.page_size, who.notes
        offset_note = block + self._sub_size
        main = MainHeader(
            version=diskdump.HEADER_VERSION,
            utsname=who.utsname.ljust(diskdump.UTSNAME_SIZE, b"\x00"),
            tv_sec=_as_long(who.timestamp[0], who.layout.bits),
            tv_usec=_as_long(who.timestamp[1], who.layout.bits),
            status=self._flag | (Flag.INCOMPLETE if who.incomplete else 0),
            block_size=block,
            sub_hdr_size=-(-(self._sub_size + len(notes)) // block),
            bitmap_blocks=diskdump.bitmap_blocks(who.max_mapnr, block),
            max_mapnr=min(who.max_mapnr, UINT32_MAX),
            nr_cpus=who.nr_cpus,
        )
        sub = SubHeader(
            phys_base=who.phys_base & ((1 << who.layout.bits) - 1),
            dump_level=level,
            split=1 if part else 0,
            start_pfn=min(start, UINT32_MAX),
            end_pfn=min(end, UINT32_MAX),
            offset_note=offset_note if notes else 0,
            size_note=len(notes),
            offset_vmcoreinfo=offset_note + who.vmcoreinfo_offset if who.vmcoreinfo_size else 0,
            size_vmcoreinfo=who.vmcoreinfo_size,
            start_pfn_64=start,
            end_pfn_64=end,
            max_mapnr_64=who.max_mapnr,
        )
        return main, sub

    @property
    def _sub_size(self) -> int:
        return self._identity.layout.sub().size

    def begin(self, present: Bitmap, keep: Bitmap) -> None:
        """Writes the headers, notes and bitmaps, and the page that all zero pages share."""
        who, block, sink = self._identity, self._identity.page_size, self._sink
        sink.write(0, [self._packed_main(Flag(0) if sink.stream else Flag.INCOMPLETE)])
        if who.notes:
            sink.write(block + self._sub_size, [who.notes])
        sink.write(block, [who.layout.pack_sub(self._sub)])
        bitmaps = (1 + self._main.sub_hdr_size) * block
        half = self._main.bitmap_blocks // 2 * block
        descriptors = bitmaps + 2 * half
        self._data_offset = self._zero_offset = descriptors + DESCRIPTOR_SIZE * keep.count()
        self._area = (
            BlockedArea(sink, descriptors, self._data_offset, block << self._block_order)
            if sink.stream
            else DirectArea(sink, descriptors, self._data_offset)
        )
        self._write_bitmap(bitmaps, present, half)
        self._write_bitmap(bitmaps + half, keep, half)
        if self._zero:
            self._area.add(b"", [bytes(block)], [block])
            self._data_offset += block

    def _write_bitmap(self, offset: int, bitmap: Bitmap, half: int) -> None:
        # In blocks of 4 KiB, or whole: a stream shows the difference.
        end, step = (half, _BITMAP_BLOCK) if self._pad_bitmaps else (bitmap.nbytes, _BITMAP_STEP)
        for at in range(0, end, step):
            size = min(step, end - at)
            self._sink.write(offset + at, [bitmap.read(at, size).ljust(size, b"\x00")])

    def add(self, batch: Encoded) -> None:
        """Writes the pages of a batch."""
        self._area.add(self._descriptors(batch.sizes), batch.data, batch.sizes)
        self._data_offset += sum(batch.sizes)
        self.zero_pages += batch.sizes.count(0)

    def _descriptors(self, sizes: list[int]) -> bytes:
        """Each is an offset, the size and the flags in one word, and 0, as 64-bit words."""
        page_size, little = self._identity.page_size, self._identity.layout.byteorder == "little"

        def word(size: int) -> int:
            flags = self._flag if size < page_size else 0
            return size | flags << 32 if little else size << 32 | flags

        words = {size: word(size or page_size) for size in set(sizes)}
        first, size = self._data_offset, sizes[0]
        if len(words) == 1 and size:  # The same by far less work.
            offsets = array("Q", range(first, first + len(sizes) * size, size))
        else:
            offsets = array("Q", list(accumulate(sizes[:-1], initial=first)))
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
        """Writes what is not written yet, and appends the erase information."""
        who = self._identity
        self._area.flush()
        if who.eraseinfo:
            self._sink.write(self._data_offset, [who.eraseinfo])
            sub = replace(self._sub, offset_eraseinfo=self._data_offset, size_eraseinfo=len(who.eraseinfo))
            self._sink.write(who.page_size, [who.layout.pack_sub(sub)])

    def seal(self) -> None:
        """Takes "incomplete" out of the header."""
        if not self._sink.stream:
            self._sink.correct(0, self._packed_main(Flag(0)))

    def _packed_main(self, extra: Flag) -> bytes:
        return self._identity.layout.pack_main(replace(self._main, status=self._main.status | extra))


def _as_long(value: int, bits: int) -> int:
    """A number as a signed C integer of `bits` bits keeps it: times after 2038 don't fit into 32."""
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half
