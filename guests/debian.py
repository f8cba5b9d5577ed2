# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of any suite and architecture of Debian, unpacked."""

from __future__ import annotations

from pathlib import Path

from guests.machines import Guest
from judges.fetch import MIRROR, Apt, unpack, unpack_vmlinux

__all__ = ["MIRROR", "Apt", "apt_for", "unpack", "unpack_vmlinux"]


def apt_for(guest: Guest, folder: Path) -> Apt:
    """The apt of a guest's suite and architecture, in a folder of its own. Raises UnavailableError."""
    return Apt(folder, f"{MIRROR} {guest.suite}", architecture=guest.architecture)
