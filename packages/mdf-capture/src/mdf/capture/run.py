# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump from beginning to end: open, find the pages to keep, copy them, report."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdf.capture.analysis import LINUX, Analysis
from mdf.capture.copy import copy_pages
from mdf.capture.options import Options
from mdf.capture.report import Report
from mdf.capture.rules import DumpLevel
from mdf.capture.selection import Selection
from mdf.capture.sinks import FileSink, FlattenedSink, NullSink, Sink
from mdf.capture.steps import check_request, first_level_that_fits, surveyed
from mdf.capture.survey import Survey
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import ElfDump
from mdf.core.errors import NoSpaceError, UsageError
from mdf.core.messages import Messages, Progress

if TYPE_CHECKING:
    from mdf.core.dumps.codecs import Codec


def capture(options: Options, messages: Messages | None = None, analysis: Analysis = LINUX) -> Report:
    """Makes the dump that `options` ask for; returns what became of the pages.

    Raises MdfError. A dump that could not be finished stays, marked incomplete, if there are pages in it.
    """
    messages = messages or Messages(0)
    options.require_supported()
    if options.dumpfile is None and not options.flattened:
        raise UsageError("There is no DUMPFILE to write to.")
    outputs = [options.dumpfile] if options.dumpfile else []
    codec = check_request(options, outputs)
    with surveyed(options, messages, analysis) as seen:
        return first_level_that_fits(options, messages, outputs, _Run(options, messages, analysis, seen, codec).dump)


@dataclass(frozen=True)
class _Run:
    options: Options
    messages: Messages
    analysis: Analysis
    seen: Survey
    codec: Codec | None

    def dump(self, requested: int) -> Report:
        """Makes a dump of one level."""
        options, dump = self.options, self.seen.dump
        selection = self.analysis.select(self.seen, requested, self.messages, elf=options.elf)
        zero = self._exclude_zero_pages(selection.keep) if options.elf and selection.level & DumpLevel.ZERO else 0
        sink = self._sink()
        elf_excluded = None
        try:
            with self.messages.step("Copying data", eta=True) as progress:
                if isinstance(dump, ElfDump) and options.elf:
                    elf_excluded = _write_elf(dump, selection.keep, sink, progress)
                else:
                    zero = self._copy(selection, sink, progress)
        except BaseException as error:
            sink.abandon()
            if not isinstance(error, NoSpaceError) and not sink.stream:
                self.messages.error(f"{sink.name} is not complete, and shows it.")
            raise
        sink.close()
        self.messages.progress("")
        return selection.report(zero, sink.written, elf_excluded)

    def _exclude_zero_pages(self, keep: Bitmap) -> int:
        from mdf.capture.elf_writer import exclude_zero_pages

        with self.messages.step("Excluding zero pages") as progress:
            found = exclude_zero_pages(self.seen.dump, keep, progress)
        return sum(found.count(start, end) for start, end in self.seen.windows(True))

    def _sink(self) -> Sink:
        options = self.options
        if options.dry_run:
            return NullSink(str(options.dumpfile), options.size_limit)
        if options.flattened or options.dumpfile is None:
            return FlattenedSink(sys.stdout.fileno(), limit=options.size_limit)
        return FileSink(options.dumpfile, force=options.force, limit=options.size_limit)

    def _copy(self, selection: Selection, sink: Sink, progress: Progress) -> int:
        """Writes the kdump-compressed format; returns the number of zero pages."""
        size, warn = selection.keep.size, self.messages.common
        writer = copy_pages(selection, self.options, self.codec, sink, lambda pfn: progress.update(pfn, size), warn)
        writer.seal()
        return writer.zero_pages


def _write_elf(dump: ElfDump, keep: Bitmap, sink: Sink, progress: Progress) -> int:
    """Writes an ELF dump; returns the number of pages that are not in it."""
    from mdf.capture.elf_writer import RUN_LEFT_OUT, ElfWriter, pieces

    cut = pieces(dump, keep)
    ElfWriter(sink, dump, cut).write(progress)
    return sum(piece.left_out for piece in cut if piece.final or piece.left_out >= RUN_LEFT_OUT)
