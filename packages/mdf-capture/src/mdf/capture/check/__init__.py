# SPDX-License-Identifier: GPL-2.0-or-later
"""Checking a dump completely: everything in it that is said twice must agree, and every page must be one.

from mdf.capture.check import check_dump
verdict = check_dump([Path("dump")])
"""

from __future__ import annotations

from mdf.capture.check.run import check_dump
from mdf.capture.check.verdict import State, Verdict

__all__ = ["State", "Verdict", "check_dump"]
