# SPDX-License-Identifier: GPL-2.0-or-later
"""How much time of the CPU a Python program needs, on a machine that may be busy with other things."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence


def fastest(arguments: Sequence[str], enough: float, within: float = 30.0) -> float:
    """The least seconds (user and system) of several runs of Python with these arguments.

    The first that needs at most `enough` is the last, and after `within` seconds there is no other. What else the
    machine does can only make a run slower.
    """
    end = time.monotonic() + within
    seconds = _seconds(arguments)
    while seconds > enough and time.monotonic() < end:
        seconds = min(seconds, _seconds(arguments))
    return seconds


def _seconds(arguments: Sequence[str]) -> float:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    before = os.times()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system) - (before.children_user + before.children_system)
