# SPDX-License-Identifier: GPL-2.0-or-later
"""Each target with a few hundred inputs: nothing but results and errors raised on purpose, in time and memory."""

from __future__ import annotations

import resource
import time

import pytest

from fuzz.formats import FORMATS
from fuzz.memory import memory_targets
from fuzz.target import LENGTH_MAX, MEBIBYTES, SECONDS, Target, mutations

_INPUTS = 200
TARGETS = [*FORMATS, *memory_targets()]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: str(target.name))
def test_no_input_does_more_than_it_may(target: Target) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    slowest = 0.0
    for data in mutations(target.seeds(), _INPUTS, seed=1):
        start = time.process_time()
        target.feed(data[:LENGTH_MAX])
        slowest = max(slowest, time.process_time() - start)
    assert slowest < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES << 10


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: str(target.name))
def test_a_seed_is_read_to_its_end(target: Target) -> None:
    assert any(map(target.feed, target.seeds()))
