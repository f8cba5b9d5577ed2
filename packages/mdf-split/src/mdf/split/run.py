# SPDX-License-Identifier: GPL-2.0-or-later
"""A split dump from beginning to end: memory is read and filtered once, then each file is written by a thread.

Reading, compressing and writing wait for no other thread. No file says that it is complete before all of them are.
"""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from mdf.capture.analysis import LINUX, Analysis
from mdf.capture.copy import copy_pages
from mdf.capture.kdump_writer import KdumpWriter
from mdf.capture.report import Report
from mdf.capture.selection import Selection
from mdf.capture.sinks import FileSink, NullSink, Sink
from mdf.capture.steps import check_request, first_level_that_fits, surveyed
from mdf.capture.survey import Survey
from mdf.core.dumps.codecs import Codec
from mdf.core.errors import NoSpaceError
from mdf.core.messages import Messages, Progress
from mdf.split.options import SplitOptions
from mdf.split.ranges import ranges


def split(options: SplitOptions, messages: Messages | None = None, analysis: Analysis = LINUX) -> Report:
    """Makes the dump that `options` ask for; returns what became of the pages, of all files together.

    Raises MdfError. Files that could not be finished stay; then all of them are marked incomplete.
    """
    messages = messages or Messages(0)
    options.check()
    codec = check_request(options.dump, options.dumpfiles)
    with surveyed(options.dump, messages, analysis, len(options.dumpfiles)) as seen:
        run = _Run(options, messages, analysis, seen, codec, options.block_pages(seen.dump.page_size))
        return first_level_that_fits(options.dump, messages, options.dumpfiles, run.dump)


class _StoppedError(Exception):
    """Another thread failed."""


@dataclass(frozen=True)
class _Run:
    options: SplitOptions
    messages: Messages
    analysis: Analysis
    seen: Survey
    codec: Codec | None
    block_pages: int

    def dump(self, requested: int) -> Report:
        """Makes a dump of one level."""
        files = self.options.dumpfiles
        selection = self.analysis.select(self.seen, requested, self.messages)
        parts = ranges(selection.keep, len(files), self.block_pages)
        sinks: list[Sink] = []
        try:
            sinks.extend(map(self._sink, files))
            with self.messages.step("Copying data", eta=True) as progress:
                writers = self._copy(selection, parts, sinks, progress)
                for writer in writers:
                    writer.seal()
        except BaseException as error:
            for sink in sinks:
                sink.abandon()
            if not isinstance(error, NoSpaceError):
                names = ", ".join(sink.name for sink in sinks)
                self.messages.error(f"{names}: not complete, and it shows in each.")
            raise
        for sink in sinks:
            sink.close()
        self.messages.progress("")
        return selection.report(sum(writer.zero_pages for writer in writers), sum(sink.written for sink in sinks))

    def _sink(self, path: Path) -> Sink:
        dump = self.options.dump
        if dump.dry_run:
            return NullSink(str(path), dump.size_limit)
        return FileSink(path, force=dump.force, limit=dump.size_limit)

    def _copy(
        self, selection: Selection, parts: list[tuple[int, int]], sinks: list[Sink], progress: Progress
    ) -> list[KdumpWriter]:
        """Writes all files at the same time. A file without room does not keep the others from being finished."""
        reached, size, stop = [start for start, _ in parts], selection.keep.size, Event()
        behind = sum(reached)

        def copy(index: int) -> KdumpWriter:
            def done(pfn: int) -> None:
                reached[index] = pfn
                if stop.is_set():
                    raise _StoppedError

            warn = self.messages.common
            return copy_pages(selection, self.options.dump, self.codec, sinks[index], done, warn, parts[index])

        with ThreadPoolExecutor(len(parts)) as pool:
            try:
                futures = [pool.submit(copy, index) for index in range(len(parts))]
                pending = set(futures)
                while pending:
                    ended, pending = wait(pending, timeout=1, return_when=FIRST_EXCEPTION)
                    for error in (future.exception() for future in ended):
                        if error and not isinstance(error, NoSpaceError):
                            raise error
                    progress.update(sum(reached) - behind, size)
            except BaseException:
                stop.set()
                raise
        return [future.result() for future in futures]
