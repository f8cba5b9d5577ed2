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
from mdf.core.errors import FormatError


def check_dump(files: Sequence[Path]) -> Verdict:
    """The verdict on a dump, which is one file, or all files of a split dump in any order.

    Raises InputError for a file that cannot be read, UnsupportedError for one of a kind that is not known, and
    MissingCodecError; damage is no error here.
    """
    findings = Findings()
    try:
        with open_dump(*files) as dump:
            pages = _check_kdump(dump, findings) if isinstance(dump, KdumpFile) else _check_other(dump, findings)
            return Verdict.of(tuple(files), dump.kind, pages, findings)
    except FormatError as error:
        findings.damaged(str(error))
    return Verdict.of(tuple(files), "", 0, findings)


def _check_kdump(dump: KdumpFile, findings: Findings) -> int:
    check_headers(dump, findings)
    copies, pages = VmcoreinfoCopies(dump), 0
    for part in dump.parts:
        check = PageCheck(dump, part, findings, lambda _, page: copies.see(page))
        check.run()
        pages += check.pages
    copies.report(findings)
    check_memory(dump, findings)
    check_bitmaps(dump, findings)
    if dump.incomplete and not findings.missing:
        findings.missing.append("it is marked incomplete, but nothing is missing")
    return pages


def _check_other(dump: Dump, findings: Findings) -> int:
    pages = check_elf(dump, findings) if isinstance(dump, ElfDump) else 0
    check_memory(dump, findings)
    return pages
