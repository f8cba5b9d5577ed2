# SPDX-License-Identifier: GPL-2.0-or-later
"""Ranges that overlap, made disjoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise


def first_wins(ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """What `ranges` [start, end) cover, in order: pieces (start, end, index of the first range that covers it).

    The time is that of sorting, however hostile the overlaps.
    """
    waiting = sorted(range(len(ranges)), key=lambda index: ranges[index][0], reverse=True)
    covering: list[int] = []  # A heap; ranges that ended go when they are on top.
    for start, end in pairwise(sorted({edge for pair in ranges for edge in pair})):
        while waiting and ranges[waiting[-1]][0] == start:
            heappush(covering, waiting.pop())
        while covering and ranges[covering[0]][1] <= start:
            heappop(covering)
        if covering:
            yield start, end, covering[0]
