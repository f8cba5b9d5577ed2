# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what we make of a guest's memory with what its kernel said just before: its log, and every page."""

from __future__ import annotations

import re

from guests.agreement import agreement
from guests.reference import compare
from guests.run import Result
from mdf.core.dumps import open_dump
from mdf.core.kernel import open_kernel
from mdf.core.messages import Messages
from mdf.dmesg import read_log


def check(result: Result) -> bool:
    """Prints the comparison; whether we agree with the guest."""
    log = _check_log(result)
    pages = _check_pages(result)
    dumps = compare(result)
    print(f"{result.name}: {'the same' if log and pages and dumps else 'DIFFERENT'}", flush=True)
    return log and pages and dumps


def _check_log(result: Result) -> bool:
    """The guest's own log is the beginning of ours: only what came afterwards is more."""
    raw = (result.files / "dmesg").read_bytes()
    guest = [_text(line) for line in raw.splitlines() if re.match(rb"<\d+>", line)]
    with open_dump(result.vmcore) as dump:
        kernel = open_kernel(dump, Messages(0))
        assert kernel is not None
        ours = [line.strip() for record in read_log(kernel) for line in record.text.split(b"\n")]
    same = ours[: len(guest)] == guest
    more = len(ours) - len(guest)
    print(f"{result.name}: {len(guest)} lines of kernel log are {'all' if same else 'NOT'} the same; {more} more")
    return same


def _text(line: bytes) -> bytes:
    """The text of a line of syslog(2), without level, time and caller."""
    return re.sub(rb"^<\d+>(\[ *[\d.]+\] ?)?(\[ *[TC]\d+\] ?)?", b"", line).strip()


def _check_pages(result: Result) -> bool:
    found = agreement(result.vmcore, result.files)
    print(f"{result.name}: pages, by the guest's word (lines) and by ours (columns)")
    print(*found.lines(), sep="\n")
    print(f"{result.name}: {found}")
    return found.holds
