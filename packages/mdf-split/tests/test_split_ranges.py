# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages go into which file: against a model that counts page by page."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from mdf.core.bitmap import Bitmap
from mdf.split.ranges import ranges


def bitmap(pages: list[bool]) -> Bitmap:
    result = Bitmap(len(pages))
    for pfn, kept in enumerate(pages):
        if kept:
            result.set_range(pfn, pfn + 1)
    return result


def model(pages: list[bool], files: int, block: int) -> list[tuple[int, int]]:
    counts = [sum(pages[at : at + block]) if at + block <= len(pages) else 0 for at in range(0, len(pages), block)]
    result, used = [], 0
    for _ in range(files - 1):
        start, needed = used, sum(pages) // files
        while needed > 0 and used < len(counts):
            needed -= counts[used]
            used += 1
        result.append((min(start * block, len(pages)), min(used * block, len(pages))))
    return [*result, (min(used * block, len(pages)), len(pages))]


@pytest.mark.parametrize("seed", range(60))
def test_ranges_are_those_of_the_model_and_cover_all_memory_once(seed: int) -> None:
    random = Random(seed)
    density = random.choice([0.02, 0.5, 0.98])
    pages = [random.random() < density for _ in range(random.randrange(1, 3000))]
    files, block = random.randrange(2, 9), random.choice([1, 7, 64, 300, 5000])
    got = ranges(bitmap(pages), files, block)
    assert got == model(pages, files, block)
    assert len(got) == files
    assert (got[0][0], got[-1][1]) == (0, len(pages))
    assert all(one[1] == other[0] for one, other in pairwise(got))


def test_memory_of_less_than_a_block_goes_into_the_first_file() -> None:
    assert ranges(bitmap([True] * 100), 3, 1000) == [(0, 100), (100, 100), (100, 100)]


def test_a_last_block_that_is_not_whole_counts_as_empty() -> None:
    assert ranges(bitmap([False] * 64 + [True] * 60), 3, 64) == [(0, 124), (124, 124), (124, 124)]


def test_a_dump_that_keeps_nothing_is_all_in_the_last_file() -> None:
    assert ranges(bitmap([False] * 100), 2, 10) == [(0, 0), (0, 100)]
