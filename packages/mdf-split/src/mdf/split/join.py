# SPDX-License-Identifier: GPL-2.0-or-later
"""Joining the files of a split dump: what all share is copied from one, then descriptors and data of each in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from mdf.capture.page_area import DirectArea
from mdf.capture.sinks import FileSink, Sink, check_output
from mdf.core.bitmap import Place
from mdf.core.dumps import KdumpFile, open_dump
from mdf.core.dumps.parts import Part, without_part
from mdf.core.errors import FormatError
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE, Flag, SubHeader, descriptor_struct
from mdf.core.messages import Messages, Progress

_STEP = 1 << 20
_LOST = bytes(DESCRIPTOR_SIZE)


@dataclass(frozen=True)
class JoinOptions:
    """The files of a split dump, in any order, and the one to make of them. Bitmaps are in `work_dir`, if any."""

    parts: tuple[Path, ...]
    dumpfile: Path
    force: bool = False
    work_dir: Path | None = None


def reassemble(options: JoinOptions, messages: Messages | None = None) -> None:
    """Makes one dump of the files. Raises MdfError; an output that could not be finished is marked incomplete."""
    messages = messages or Messages(0)
    for path in options.parts:
        check_output(options.dumpfile, path, options.force)
    with open_dump(*options.parts, place=Place.in_work_dir(options.work_dir)) as dump:
        if not isinstance(dump, KdumpFile) or not dump.sub.split:
            raise FormatError(f"{options.parts[0]} is no file of a split dump.")
        if dump.incomplete:
            messages.common("The files are of an incomplete dump: pages are missing in it.")
        sink = FileSink(options.dumpfile, force=options.force)
        try:
            with messages.step("Copying data", eta=True) as progress:
                _Joiner(dump, sink).write(progress)
        except BaseException:
            sink.abandon()
            messages.error(f"{sink.name} is not complete, and shows it.")
            raise
        sink.close()
        messages.progress("")


class _Joiner:
    def __init__(self, dump: KdumpFile, sink: Sink) -> None:
        self._dump = dump
        self._sink = sink
        self._page_size = dump.page_size
        self._layout, self._version = dump.layout, dump.main.version
        self._descriptor = descriptor_struct(dump.byteorder)
        self._descriptors, self._first_data = dump.pages.descriptors, dump.pages.data_offset
        self._data_offset = self._first_data
        self._area = DirectArea(sink, self._descriptors, self._first_data)

    def write(self, progress: Progress) -> None:
        """Writes everything; the header says "incomplete" until all is there."""
        dump, sink, size = self._dump, self._sink, self._page_size
        main = dump.main
        sink.write(0, [self._layout.pack_main(replace(main, status=main.status | Flag.INCOMPLETE))])
        sub = without_part(dump.sub)
        self._write_sub(sub)
        shared = size + self._layout.sub(self._version).size
        self._copy(dump.parts[0], shared, self._descriptors - shared, shared)
        if dump.pages.zero_offset >= 0:
            self._area.add(b"", [bytes(size)], [size])
            self._data_offset += size
        for part in dump.parts:
            self._join(part, progress)
        self._join_eraseinfo(sub)
        sink.correct(0, self._layout.pack_main(main))

    def _write_sub(self, sub: SubHeader) -> None:
        layout = self._layout.sub(self._version)
        members = len(layout.unpack(bytes(layout.size)))
        self._sink.write(self._page_size, [layout.pack(*astuple(sub)[:members])])

    def _copy(self, part: Part, offset: int, size: int, to: int) -> None:
        for done in range(0, size, _STEP):
            step = min(_STEP, size - done)
            # A file without pages may end in the bitmaps: what is not there is zero.
            self._sink.write(to + done, [part.source.read_upto(offset + done, step).ljust(step, b"\x00")])

    def _join(self, part: Part, progress: Progress) -> None:
        """Appends the pages of a file, in batches of up to 1 MiB."""
        stored, capacity = self._dump.pages.stored, max(_STEP // self._page_size, 1)
        count = stored.count(part.start, part.end)
        for first in range(0, count, capacity):
            entries = self._entries(part, first, min(capacity, count - first))
            descriptors, extents, sizes = [], [], []
            for offset, size, flags, page_flags in entries:
                if self._is_lost(part, offset, size):
                    descriptors.append(_LOST)
                    sizes.append(0)
                elif offset == self._dump.pages.zero_offset:
                    descriptors.append(self._descriptor.pack(offset, size, flags, page_flags))
                    sizes.append(0)
                else:
                    descriptors.append(self._descriptor.pack(self._data_offset, size, flags, page_flags))
                    sizes.append(size)
                    extents.append((offset, size))
                    self._data_offset += size
            data = [part.source.read(offset, size, "page data") for offset, size in _merged(extents)]
            self._area.add(b"".join(descriptors), data, sizes)
            progress.update(part.start + (part.end - part.start) * first // count, self._dump.max_mapnr)

    def _entries(self, part: Part, first: int, count: int) -> Iterator[tuple[int, ...]]:
        where, size = self._descriptors + first * DESCRIPTOR_SIZE, count * DESCRIPTOR_SIZE
        if self._dump.incomplete:
            data = part.source.read_upto(where, size).ljust(size, b"\x00")
        else:
            data = part.source.read(where, size, "a page descriptor")
        return self._descriptor.iter_unpack(data)

    def _is_lost(self, part: Part, offset: int, size: int) -> bool:
        """Whether an incomplete dump lacks the data. Raises FormatError for a descriptor that is damaged."""
        if self._dump.incomplete and (offset == 0 or offset + size > part.source.size):
            return True
        if offset < self._first_data or not 0 < size <= self._page_size:
            raise FormatError(f"{part.source.path}: a page descriptor is damaged: {size} bytes at {offset:#x}.")
        return False

    def _join_eraseinfo(self, sub: SubHeader) -> None:
        start = end = self._data_offset
        for part in self._dump.parts:
            offset, size = part.sub.offset_eraseinfo, part.sub.size_eraseinfo
            if not offset or not size:
                continue
            if offset < self._first_data or offset + size > part.source.size:
                raise FormatError(f"{part.source.path}: impossible erase information: {size:#x} bytes at {offset:#x}.")
            self._copy(part, offset, size, end)
            end += size
        if end > start:
            self._write_sub(replace(sub, offset_eraseinfo=start, size_eraseinfo=end - start))


def _merged(extents: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Pieces (offset, size) of a file, those that follow one another joined."""
    merged: list[tuple[int, int]] = []
    for offset, size in extents:
        if merged and sum(merged[-1]) == offset:
            merged[-1] = (merged[-1][0], merged[-1][1] + size)
        else:
            merged.append((offset, size))
    return merged
