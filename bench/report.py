# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a table for the terminal, for a page in Markdown, or as JSON."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from bench.cases import Result
from bench.measure import Usage

MIB = 1 << 20


@dataclass(frozen=True)
class Quantity:
    """One column of the table."""

    title: str
    of: Callable[[Usage], float]
    digits: int


QUANTITIES = (
    Quantity("CPU s", lambda usage: usage.cpu, 3),
    Quantity("wall s", lambda usage: usage.wall, 3),
    Quantity("peak MiB", lambda usage: usage.memory / MIB, 1),
    Quantity("output MiB", lambda usage: usage.output / MIB, 1),
)
HEADER = ("case", *(f"{quantity.title} {which}" for quantity in QUANTITIES for which in ("ours", "ref", "ratio")))


def row(result: Result) -> tuple[str, ...]:
    """The case, and for each quantity the medians of both programs and of their ratio."""
    cells = [result.case]
    for quantity in QUANTITIES:
        ours = [quantity.of(pair.ours) for pair in result.pairs]
        reference = [quantity.of(pair.reference) for pair in result.pairs]
        if any(ours) and all(reference):
            ratio = f"{median(a / b for a, b in zip(ours, reference, strict=True)):.2f}"
            cells += [f"{median(ours):.{quantity.digits}f}", f"{median(reference):.{quantity.digits}f}", ratio]
        else:
            cells += ["-", "-", "-"]
    return tuple(cells)


def text(results: Sequence[Result]) -> str:
    """A table with aligned columns under two lines of titles."""
    rows = [row(result) for result in results]
    titles = ("", *(title for quantity in QUANTITIES for title in (quantity.title, "", "")))
    below = ("case", *(("ours", "ref", "ratio") * len(QUANTITIES)))
    lines = [titles, below, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(below))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown(results: Sequence[Result]) -> str:
    """The same as a table in Markdown."""
    lines = [HEADER, ("---", *("---:" for _ in HEADER[1:])), *(row(result) for result in results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(results: Sequence[Result]) -> str:
    """Every single run, in seconds and bytes."""
    return json.dumps([asdict(result) for result in results], indent=1)
