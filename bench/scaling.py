# SPDX-License-Identifier: GPL-2.0-or-later
"""Time and memory as machines grow: the filter alone, and up to 64 GiB a whole compressed dump.

The vmcores have a struct page for every page, and content for the first GiB; above that they are holes, whose struct
pages are those of the first GiB again.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cases import Case, Program
from bench.measure import Usage, measure
from bench.source import ROOT, large_vmcore

GIB_PAGES = 1 << 18
WHOLE_MAX = 64
CASE = Case("-c -d 31", ("-c", "-d", "31"))


@dataclass(frozen=True)
class Scale:
    """What a machine of `gib` GiB needs: for the filter, and for a dump (None if it is too large for the bench)."""

    gib: int
    filtered: Usage
    dumped: Usage | None


def scale(gib: int, ours: Program, directory: Path | None) -> Scale:
    """Measures one size."""
    vmcore = large_vmcore(gib, 1)
    paths = [str(ROOT), *ours.environment.get("PYTHONPATH", "").split(":")]
    environment = {**ours.environment, "PYTHONPATH": ":".join(filter(None, paths))}
    filtered = measure((sys.executable, "-m", "bench.filtering", str(vmcore)), None, environment)
    dumped = None
    if gib <= WHOLE_MAX:
        with tempfile.TemporaryDirectory(prefix="bench.", dir=directory) as scratch:
            dumped = ours.run(CASE, vmcore, Path(scratch, "output"))
    return Scale(gib, filtered, dumped)


def text(scales: Sequence[Scale]) -> str:
    """A table in Markdown."""
    head = ("GiB", "million pages", "filter CPU s", "ns per page", "filter peak MiB", "-c -d 31 CPU s", "peak MiB")
    lines = [head, ("---:",) * len(head)]
    for one in scales:
        pages = one.gib * GIB_PAGES
        dumped = (f"{one.dumped.cpu:.1f}", f"{one.dumped.memory / (1 << 20):.1f}") if one.dumped else ("-", "-")
        lines.append(
            (
                str(one.gib),
                f"{pages / 1e6:.1f}",
                f"{one.filtered.cpu:.2f}",
                f"{one.filtered.cpu / pages * 1e9:.0f}",
                f"{one.filtered.memory / (1 << 20):.1f}",
                *dumped,
            )
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
