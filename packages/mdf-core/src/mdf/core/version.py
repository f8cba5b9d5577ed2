# SPDX-License-Identifier: GPL-2.0-or-later
"""What `-v` prints: the version, and which codecs are installed."""

from __future__ import annotations

from importlib.util import find_spec

from mdf.core import __version__

RELEASED = "24 Nov 2026"

# The modules that bring a codec, any of them.
CODECS = (
    ("lzo", ("lzallright",)),
    ("snappy", ("cramjam",)),
    ("zstd", ("compression.zstd", "backports.zstd")),
)


def importable(module: str) -> bool:
    """Whether a module is installed, found out without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # The package it would be in is missing.
        return False


def version_text(name: str) -> str:
    """The version of a command in the form scripts know, with an empty line at the end."""
    lines = [f"{name}: version {__version__} (released on {RELEASED})"]
    for codec, modules in CODECS:
        lines.append(f"{codec}\t{'enabled' if any(map(importable, modules)) else 'disabled'}")
    return "\n".join([*lines, ""])
