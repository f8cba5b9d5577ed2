# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether what a capture kernel saved is right: the reference's reading of the same memory is the measure."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from guests.kdump.crash import Captured
from guests.kdump.pages import Pages
from guests.kdump.statement import Check
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError

# Who logged a line, after its time.
CALLER = re.compile(rb"(?<=\] )\[ *[CT]\d+\] ")
OURS = (sys.executable, "-m", "makedumpfile")


def run(*command: str | Path, stdin: Path | None = None) -> tuple[int, str]:
    """A command's exit status and what it printed."""
    with (stdin or Path("/dev/null")).open("rb") as source:
        result = subprocess.run(list(map(str, command)), stdin=source, capture_output=True, check=False)
    return result.returncode, (result.stdout + result.stderr).decode(errors="replace")


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
    pages = Pages(raw, folder / "expected")
    yield from pages.reference()
    yield from pages.kernel(folder)
    yield Check("the dump is what the reference makes of the raw vmcore", pages.same(folder / "dump"))
    log, expected = ((folder / name).read_bytes() for name in ("dmesg", "expected-dmesg"))
    same = expected == (log if CALLER.search(expected) else without_callers(log))
    yield Check("the log is what the reference makes of the raw vmcore", same)
    (folder / "joined").unlink(missing_ok=True)
    status, text = run(*reference, "--reassemble", folder / "part1", folder / "part2", folder / "joined")
    yield Check("the reference joins the split dump", status == 0, text[-300:])
    yield Check("the split dump is the same dump", status == 0 and pages.same(folder / "joined"))
    (folder / "again").unlink(missing_ok=True)
    status, text = run(*reference, "-c", "-d", "31", folder / "dump", folder / "again")
    yield Check("the reference filters our dump again, and finds nothing to leave out", status == 0, text[-300:])
    yield Check("and that is the same dump", status == 0 and pages.same(folder / "again", refiltered=True))


def without_callers(log: bytes) -> bytes:
    """The log as releases of the reference before 1.7.3 show it; further lines of a text are indented by less."""
    lines, width = [], 0
    for line in log.split(b"\n"):
        if caller := CALLER.search(line):
            width = len(caller[0])
        lines.append(CALLER.sub(b"", line, count=1) if caller else line.removeprefix(b" " * width))
    return b"\n".join(lines)


def sent(captured: Captured, received: Path) -> Iterator[Check]:
    """Checks of the step that sends a flattened stream through ssh."""
    status = captured.steps["ssh"].status if "ssh" in captured.steps else None
    yield Check("the stream through ssh ends with status 0", status == 0, str(status))
    folder = captured.folder
    whole = received.exists() and Pages(folder / "vmcore", folder / "expected").same(received)
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
