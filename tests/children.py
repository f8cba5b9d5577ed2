# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes of Python that tests start."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence


def environment() -> dict[str, str]:
    """What such a process needs to find the modules that the tests have; its streams have their buffers."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "PYTHONPATH": os.pathsep.join(sys.path)}


def fastest(arguments: Sequence[str], enough: float, within: float = 30.0) -> float:
    """The least seconds of the CPU (user and system) of several runs of Python with these arguments.

    The first that needs at most `enough` is the last, and after `within` seconds there is no other. What else the
    machine does can only make a run slower.
    """
    end = time.monotonic() + within
    seconds = _seconds(arguments)
    while seconds > enough and time.monotonic() < end:
        seconds = min(seconds, _seconds(arguments))
    return seconds


def _seconds(arguments: Sequence[str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], env=environment(), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system)
