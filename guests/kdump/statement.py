# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of a crash, and whether it is true."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A statement about what was saved, and whether it is true."""

    statement: str
    holds: bool
    detail: str = ""
