# SPDX-License-Identifier: GPL-2.0-or-later
"""Each target with some dozens of inputs: nothing but results and errors raised on purpose, in time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from fuzz.target import MEBIBYTES, SECONDS, Feeder, LimitError, Target, mutations
from fuzz.targets import TARGETS

_INPUTS = 60


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_does_more_than_it_may(name: str) -> None:
    feeder = Feeder(TARGETS[name])
    for data in mutations(TARGETS[name].seeds(), _INPUTS, seed=1):
        feeder.feed(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_seed_is_read_to_its_end(name: str) -> None:
    if name == "vmlinux-dwarf":
        pytest.importorskip("elftools")
    feeder = Feeder(TARGETS[name])
    for data in TARGETS[name].seeds():
        feeder.feed(data)
        if feeder.taken:
            return
    pytest.fail("none was")


def _too_long(_: bytes) -> None:
    end = time.process_time() + SECONDS
    while time.process_time() <= end:
        pass


def _too_large(_: bytes) -> None:
    assert len(bytearray(2 * MEBIBYTES << 20)) > 0


def _feed(parse: Callable[[bytes], object]) -> None:
    Feeder(Target("", parse, list)).feed(b"")


@pytest.mark.parametrize("parse", [_too_long, _too_large])
def test_an_input_that_needs_too_much_is_found(parse: Callable[[bytes], object]) -> None:
    # In a process of its own, as memory that was used once counts for ever.
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool, pytest.raises(LimitError):
        pool.submit(_feed, parse).result()
