# SPDX-License-Identifier: GPL-2.0-or-later
"""What `-v` prints: the version, and which codecs are installed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from mdf.core import __version__

RELEASED = "24 Nov 2026"

# The modules that bring a codec, any of them.
CODECS = (
    ("lzo", ("lzallright", "mdf.core.dumps.codecs.liblzo2")),
    ("snappy", ("cramjam",)),
    ("zstd", ("compression.zstd", "backports.zstd")),
)


def importable(module: str) -> bool:
    """Whether a module is installed, found out without importing it; one of ours says whether its library is there."""
    try:
        return bool(import_module(module) if module.startswith("mdf.") else find_spec(module))
    except ImportError:  # The package it would be in is missing, or the library.
        return False


def version_text(name: str) -> str:
    """The version of a command in the form scripts know, with an empty line at the end."""
    lines = [f"{name}: version {__version__} (released on {RELEASED})"]
    for codec, modules in CODECS:
        lines.append(f"{codec}\t{'enabled' if any(map(importable, modules)) else 'disabled'}")
    return "\n".join([*lines, ""])
