# SPDX-License-Identifier: GPL-2.0-or-later
"""What every way of writing a dump does before and around the writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mdf.capture.analysis import Analysis
from mdf.capture.options import Options
from mdf.capture.report import Report
from mdf.capture.sinks import check_output, remove_output
from mdf.capture.survey import Survey
from mdf.core.bitmap import Place
from mdf.core.dumps import open_dump
from mdf.core.errors import NoSpaceError
from mdf.core.kernel import given_info
from mdf.core.messages import Messages

if TYPE_CHECKING:
    from mdf.core.dumps.codecs import Codec


def check_request(options: Options, outputs: Sequence[Path]) -> Codec | None:
    """Checks what can be checked before anything is read; returns the codec. Raises MdfError."""
    options.require_supported()
    for path in outputs:
        for vmcore in options.vmcores:
            check_output(path, vmcore, options.force)
    if options.compression is None:
        return None
    from mdf.core.dumps.codecs import codec_named

    codec = codec_named(options.compression)
    codec.packer()  # A missing one shows before anything is written.
    return codec


@contextmanager
def surveyed(options: Options, messages: Messages, analysis: Analysis, files: int = 1) -> Iterator[Survey]:
    """The dump to read, open and looked at, when what is written goes into so many `files`."""
    given = given_info(options.vmlinux, options.vmcoreinfo)
    place = Place.in_work_dir(options.work_dir)
    with open_dump(*options.vmcores, given=given, place=place, mapped=not options.non_mmap) as dump:
        if dump.incomplete:
            messages.common(f"{options.vmcore} is an incomplete dump: pages are missing in it.")
        seen = analysis.survey(dump, options, messages, files, given)
        if options.vtop is not None and seen.known:
            from mdf.capture.vtop import show_translation

            show_translation(seen.known.kernel, options.vtop, messages)
        yield seen


def first_level_that_fits(
    options: Options, messages: Messages, outputs: Sequence[Path], dump: Callable[[int], Report]
) -> Report:
    """Tries the dump levels in order while the device of the `outputs` is full."""
    levels = options.dump_levels
    for level, following in pairwise(levels):
        try:
            return dump(level)
        except NoSpaceError:
            if options.flattened:
                raise  # What is sent is sent.
            messages.common(f"\nRetry to create a dumpfile by dump_level({following}).")
            for path in () if options.dry_run else outputs:
                remove_output(path)
    try:
        return dump(levels[-1])
    except NoSpaceError as error:
        if options.flattened or options.dry_run:
            raise
        raise NoSpaceError(str(error), hint="This is an incomplete dumpfile, but might analyzable.") from error
