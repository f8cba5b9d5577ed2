# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump from beginning to end: open, find the pages to keep, copy them, report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from mdf.capture.elf_writer import RUN_LEFT_OUT, ElfWriter, exclude_zero_pages, pieces
from mdf.capture.encode import Encoder, encoded
from mdf.capture.free_lists import exclude_free_pages
from mdf.capture.kdump_writer import KdumpWriter
from mdf.capture.options import Options
from mdf.capture.page_filter import exclude_pages, needs_scan
from mdf.capture.recode import Recoder
from mdf.capture.report import Report
from mdf.capture.rules import DumpLevel, Kind
from mdf.capture.sinks import FileSink, FlattenedSink, NullSink, Sink, check_output, remove_output
from mdf.capture.survey import Survey, survey
from mdf.capture.vtop import show_translation
from mdf.core.arch import ARCHITECTURES, Architecture
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import ElfDump, KdumpFile, open_dump
from mdf.core.dumps.codecs import Codec, codec_named
from mdf.core.errors import NoSpaceError, UsageError
from mdf.core.messages import Messages, Progress

# A block of 1 GiB at the most, with pages of 4 KiB.
_BLOCK_ORDER_MAX = 18


def capture(
    options: Options, messages: Messages | None = None, architectures: Mapping[str, Architecture] = ARCHITECTURES
) -> Report:
    """Makes the dump that `options` ask for; returns what became of the pages.

    Raises MdfError. A dump that could not be finished stays, marked incomplete, if there are pages in it.
    """
    messages = messages or Messages(0)
    options.require_supported()
    if options.dumpfile is None and not options.flattened:
        raise UsageError("There is no DUMPFILE to write to.")
    if options.dumpfile is not None:
        check_output(options.dumpfile, options.vmcore, options.force)
    codec = codec_named(options.compression) if options.compression else None
    if codec:
        codec.compressor()  # A missing one shows before anything is written.
    with open_dump(options.vmcore) as dump:
        if dump.incomplete:
            messages.common(f"{options.vmcore} is an incomplete dump: pages are missing in it.")
        seen = survey(dump, options, messages, architectures)
        if options.vtop is not None and seen.known:
            show_translation(seen.known.kernel, options.vtop, messages)
        return _Run(options, messages, seen, codec).first_level_that_fits()


@dataclass(frozen=True)
class _Run:
    options: Options
    messages: Messages
    seen: Survey
    codec: Codec | None

    def first_level_that_fits(self) -> Report:
        """Tries the dump levels in order while the device is full."""
        levels = self.options.dump_levels
        for level, following in pairwise(levels):
            try:
                return self._dump(level)
            except NoSpaceError:
                dumpfile = self.options.dumpfile
                if self.options.flattened or dumpfile is None:
                    raise  # What is sent is sent.
                self.messages.common(f"\nRetry to create a dumpfile by dump_level({following}).")
                if not self.options.dry_run:
                    remove_output(dumpfile)
        try:
            return self._dump(levels[-1])
        except NoSpaceError as error:
            if self.options.flattened or self.options.dry_run:
                raise
            raise NoSpaceError(str(error), hint="This is an incomplete dumpfile, but might analyzable.") from error

    def _sink(self) -> Sink:
        options = self.options
        if options.dry_run:
            return NullSink(str(options.dumpfile), options.size_limit)
        if options.flattened or options.dumpfile is None:
            return FlattenedSink(sys.stdout.fileno(), limit=options.size_limit)
        return FileSink(options.dumpfile, force=options.force, limit=options.size_limit)

    def _dump(self, requested: int) -> Report:
        dump = self.seen.dump
        level = requested | dump.level
        if level != requested:
            made = f"{dump.source.path} was created by dump_level({dump.level})"
            self.messages.common(f"dump_level is changed to {level}, because {made}.", end="")
        keep = dump.stored(self.seen.present)
        excluded = self._exclude(level, keep)
        zero = 0
        if self.options.elf and level & DumpLevel.ZERO:
            with self.messages.step("Excluding zero pages") as progress:
                found = exclude_zero_pages(dump, keep, progress)
            zero = sum(found.count(start, end) for start, end in self.seen.windows(True))
        sink = self._sink()
        elf_excluded = None
        try:
            with self.messages.step("Copying data", eta=True) as progress:
                if isinstance(dump, ElfDump) and self.options.elf:
                    cut = pieces(dump, keep)
                    ElfWriter(sink, dump, cut).write(progress)
                    elf_excluded = sum(piece.left_out for piece in cut if piece.final or piece.left_out >= RUN_LEFT_OUT)
                else:
                    zero = self._copy(level, keep, sink, progress)
        except BaseException as error:
            sink.abandon()
            if not isinstance(error, NoSpaceError) and not sink.stream:
                self.messages.error(f"{sink.name} is not complete, and shows it.")
            raise
        sink.close()
        self.messages.progress("")
        return self._report(level, zero, excluded, sink.written, elf_excluded)

    def _exclude(self, level: int, keep: Bitmap) -> dict[Kind, int]:
        """Clears what the level leaves out in `keep`; the number of pages of each kind."""
        counters = dict.fromkeys(Kind, 0)
        known, messages = self.seen.known, self.messages
        if known is None:
            return counters
        if needs_scan(level, known.layout, self.seen.by_struct_page):
            with messages.step("Excluding unnecessary pages") as progress:
                scan_level = level if self.seen.by_struct_page else level & ~DumpLevel.FREE
                for window in self.seen.windows(self.options.elf):
                    exclude_pages(known, scan_level, keep, window, counters, messages.common, progress)
        if level & DumpLevel.FREE and not self.seen.by_struct_page:
            messages.debug("Free pages are found by the lists of the buddy system.")
            with messages.step("Excluding free pages"):
                counters[Kind.FREE] += exclude_free_pages(known.kernel, known.pieces, keep)
        return counters

    def _copy(self, level: int, keep: Bitmap, sink: Sink, progress: Progress) -> int:
        """Writes the kdump-compressed format; returns the number of zero pages."""
        dump, plan, codec = self.seen.dump, self.seen.plan, self.codec
        order = min(self.options.block_order, _BLOCK_ORDER_MAX)
        writer = KdumpWriter(
            sink,
            self.seen.identity(),
            level,
            codec,
            pad_bitmaps=plan.one_pass,
            block_order=order,
        )
        writer.begin(self.seen.present, keep)

        def encoder() -> Encoder:
            return Encoder(dump.page_size, zero=bool(level & DumpLevel.ZERO), codec=codec)

        if isinstance(dump, KdumpFile) and codec and codec.flag & dump.main.status:
            stream = Recoder(dump, encoder(), codec, zero=bool(level & DumpLevel.ZERO)).encoded(keep)
        else:
            stream = encoded(dump, keep, encoder, self.options.num_threads)
        for batch in stream:
            writer.add(batch)
            progress.update(batch.pfn, keep.size)
        writer.finish()
        return writer.zero_pages

    def _report(
        self, level: int, zero: int, excluded: Mapping[Kind, int], written: int, elf_excluded: int | None
    ) -> Report:
        known = self.seen.known
        return Report(
            level=level,
            total=self.seen.max_mapnr,
            original=self.seen.count_present(self.options.elf),
            zero=zero,
            cache=excluded[Kind.CACHE],
            cache_private=excluded[Kind.CACHE_PRIVATE],
            user=excluded[Kind.USER],
            free=excluded[Kind.FREE],
            hwpoison=excluded[Kind.HWPOISON],
            offline=excluded[Kind.OFFLINE],
            written=written,
            elf_excluded=elf_excluded,
            lookups=known.kernel.machine.lookups if known else (0, 0),
        )
