# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths that the caller gives."""

from __future__ import annotations

from pathlib import Path


def same_file(one: Path, other: Path) -> bool:
    """Whether both are there and are one file: an output that would be written over the input."""
    return one.exists() and other.exists() and one.samefile(other)
