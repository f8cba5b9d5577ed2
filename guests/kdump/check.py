# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what a capture kernel saved is right: the reference's reading of the same memory is the measure."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from captures import DumpFile
from guests.kdump.crash import Captured
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError

# Who logged a line: the reference shows it since 1.7.3.
CALLER = re.compile(rb"\] \[ *[CT]\d+\] ")
COMPOUND_INFO = b"\nOFFSET(page.compound_info)="
OURS = (sys.executable, "-m", "makedumpfile")


@dataclass(frozen=True)
class Check:
    """A statement about what was saved, and whether it is true."""

    statement: str
    holds: bool
    detail: str = ""


def run(*command: str | Path, stdin: Path | None = None) -> tuple[int, str]:
    """A command's exit status and what it printed."""
    with (stdin or Path("/dev/null")).open("rb") as source:
        result = subprocess.run(list(map(str, command)), stdin=source, capture_output=True, check=False)
    return result.returncode, (result.stdout + result.stderr).decode(errors="replace")


def same_pages(one: Path, other: Path) -> bool:
    """Whether two dumps have the same pages with the same contents, however they are compressed.

    Of kernels since 7.1 `one` may have more: releases of the reference up to 1.7.9 don't know `compound_info`, take the
    tails of the kernel's own compound pages for pages of processes, and lose them.
    """
    first, second = DumpFile(one), DumpFile(other)
    same = first.pfns == second.pfns or (COMPOUND_INFO in first.data and set(first.pfns) > set(second.pfns))
    return (
        same
        and first.bitmap1 == second.bitmap1
        and first.utsname == second.utsname
        and all(first.page(pfn) == second.page(pfn) for pfn in second.pfns)
    )


def saved(captured: Captured, reference: Sequence[str]) -> Iterator[Check]:
    """Checks of the steps that save all; `reference` is the reference's command on this host."""
    folder = captured.folder
    ended = {name: step.status for name, step in captured.steps.items()}
    for name in ("dmesg", "dump", "split", "elf"):
        yield Check(f"{name} ends with status 0 in the capture kernel", ended.get(name) == 0, str(ended.get(name)))
    raw = folder / "vmcore"
    for target, options in (("expected", ("-c", "-d", "31")), ("expected-dmesg", ("--dump-dmesg",))):
        (folder / target).unlink(missing_ok=True)
        status, text = run(*reference, *options, raw, folder / target)
        yield Check(f"the reference reads the raw vmcore of the same crash ({options[0]})", status == 0, text[-300:])
    expected = folder / "expected"
    yield Check("the dump is what the reference makes of the raw vmcore", same_pages(folder / "dump", expected))
    logs = [CALLER.sub(b"] ", (folder / name).read_bytes()) for name in ("dmesg", "expected-dmesg")]
    yield Check("the log is what the reference makes of the raw vmcore", logs[0] == logs[1])
    (folder / "joined").unlink(missing_ok=True)
    status, text = run(*reference, "--reassemble", folder / "part1", folder / "part2", folder / "joined")
    yield Check("the reference joins the split dump", status == 0, text[-300:])
    yield Check("the split dump is the same dump", status == 0 and same_pages(folder / "joined", expected))
    (folder / "again").unlink(missing_ok=True)
    status, text = run(*reference, "-c", "-d", "31", folder / "dump", folder / "again")
    yield Check("the reference filters our dump again, and finds nothing to leave out", status == 0, text[-300:])
    yield Check("and that is the same dump", status == 0 and same_pages(folder / "again", expected))


def sent(captured: Captured, received: Path) -> Iterator[Check]:
    """Checks of the step that sends a flattened stream through ssh."""
    status = captured.steps["ssh"].status if "ssh" in captured.steps else None
    yield Check("the stream through ssh ends with status 0", status == 0, str(status))
    whole = received.exists() and same_pages(received, captured.folder / "expected")
    yield Check("what mdf-rearrange received is the same dump", whole)


def failed(captured: Captured) -> Iterator[Check]:
    """Checks of the steps that cannot be finished: none leaves what passes for a whole dump."""
    folder = captured.folder
    for name in ("full", "full-split", "pipe"):
        step = captured.steps.get(name)
        yield Check(f"{name} fails with a status other than 0", step is not None and step.status != 0, str(step))
    for name in ("full", "part1", "part2"):
        place = folder / ("" if name == "full" else "left") / name
        yield Check(f"{name} on a full disk does not pass for a whole dump", not whole(place))
    target = folder / "from-pipe"
    status, text = run(*OURS, "-R", target, stdin=folder / "pipe")
    yield Check("a stream without its end makes no dump", status == 1 and not target.exists(), text[-200:])


def whole(path: Path) -> bool:
    """Whether a file passes for a complete dump."""
    if not path.exists():
        return False
    try:
        with open_dump(path) as dump:
            return not dump.incomplete
    except MdfError:
        return False
