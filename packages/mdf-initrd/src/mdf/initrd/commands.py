# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that an initrd can use, as far as their packages are installed."""

from __future__ import annotations

from importlib.util import find_spec

# The command, and the module whose function `main` it calls.
COMMANDS = {
    "makedumpfile": "makedumpfile.__main__",
    "mdf-capture": "mdf.capture.cli",
    "mdf-dmesg": "mdf.dmesg.cli",
    "mdf-rearrange": "mdf.rearrange",
    "mdf-reassemble": "mdf.split.reassemble",
    "mdf-split": "mdf.split.cli",
    "mdf-xen": "mdf.xen.cli",
}

# Native modules that the standard library does without when they are not there, and none of our modules uses: they
# bring 5 MB of shared libraries.
LEFT_OUT = ("_bz2", "_hashlib", "_lzma", "_ssl")


def installed() -> dict[str, str]:
    """The commands of the packages that are installed."""
    return {name: module for name, module in COMMANDS.items() if _is_installed(module)}


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # The package it would be in is missing.
        return False
