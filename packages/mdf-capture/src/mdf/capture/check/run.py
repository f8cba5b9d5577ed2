# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump checked from the first byte to the last; the files of a split dump together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdf.capture.check.elf import check_elf
from mdf.capture.check.kdump_headers import check_headers
from mdf.capture.check.kdump_pages import PageCheck
from mdf.capture.check.memory import VmcoreinfoCopies, check_memory
from mdf.capture.check.page_structures import check_bitmaps
from mdf.capture.check.verdict import Findings, Verdict
from mdf.core.dumps import Dump, ElfDump, KdumpFile, open_dump
from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError


def check_dump(files: Sequence[Path]) -> Verdict:
    """The verdict on a dump, which is one file, or all files of a split dump in any order.

    Raises InputError for a file that cannot be read, UnsupportedError for one of a kind that is not known, and
    MissingCodecError; damage is no error here.
    """
    findings = Findings()
    try:
        with open_dump(*files) as dump:
            pages = _check(dump, findings)
            return Verdict.of(tuple(files), dump.kind, pages, findings)
    except FormatError as error:
        findings.damaged(str(error))
    return Verdict.of(tuple(files), "", 0, findings)


def _check(dump: Dump, findings: Findings) -> int:
    copies = VmcoreinfoCopies(dump)
    pages = 0
    if isinstance(dump, KdumpFile):
        check_headers(dump, findings)
        for part in dump.parts:
            check = PageCheck(dump, part, findings, lambda _, page: copies.see(page))
            check.run()
            pages += check.pages
            _check_stream(part.source, findings)
    elif isinstance(dump, ElfDump):
        pages = check_elf(dump, findings, copies.see)
        _check_stream(dump.source, findings)
    copies.report(findings)
    check_memory(dump, findings)
    if isinstance(dump, KdumpFile):
        check_bitmaps(dump, findings)
    if dump.incomplete and not findings.missing:
        findings.missing.append("it is marked incomplete, but nothing is missing")
    return pages


def _check_stream(source: Source, findings: Findings) -> None:
    if isinstance(source, FlattenedSource) and source.trailing:
        findings.remarks.append(f"{source.trailing} bytes behind the end of the stream {source.path}")
