# SPDX-License-Identifier: GPL-2.0-or-later
"""The results as a chart: CPU time of ours as a part of the reference's, a bar for each case."""

from collections.abc import Sequence
from statistics import median

from bench.cases import Result

ROW, LEFT, UNIT, TOP = 24, 190, 320, 30  # UNIT: pixels for a ratio of 1.


def svg(results: Sequence[Result]) -> str:
    """An SVG image, with a line at 1."""
    rows = [(result.case, median(pair.ours.cpu / pair.reference.cpu for pair in result.pairs)) for result in results]
    widest = max([1.0, *(ratio for _, ratio in rows)])
    width, height = LEFT + round(UNIT * widest) + 60, TOP + ROW * len(rows) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13">CPU time, ours / reference</text>',
    ]
    for number, (case, ratio) in enumerate(rows):
        y = TOP + number * ROW
        colour = "#2a7" if ratio <= 1 else "#c73"
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 15}" font-size="12" text-anchor="end">{case}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{round(UNIT * ratio)}" height="{ROW - 8}" fill="{colour}"/>',
            f'<text x="{LEFT + round(UNIT * ratio) + 5}" y="{y + 15}" font-size="12">{ratio:.2f}</text>',
        ]
    line = f'<line x1="{LEFT + UNIT}" y1="{TOP - 4}" x2="{LEFT + UNIT}" y2="{height - 6}" stroke="black"'
    return "\n".join([*lines, f'{line} stroke-dasharray="4 3"/>', "</svg>"])
