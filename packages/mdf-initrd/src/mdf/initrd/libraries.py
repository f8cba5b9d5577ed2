# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared libraries that programs and native modules need, as the system's loader finds them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mdf.core.errors import MissingInfoError

_FOUND = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_MISSING = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


def names(libraries: Iterable[Path]) -> list[Path]:
    """The names in its folder that lead to each of the libraries: one of them is what it is looked for by."""
    return sorted(
        path
        for library in libraries
        for path in library.parent.glob(f"{library.name.partition('.so')[0]}.so*")
        if path.resolve() == library
    )


def needed(files: Iterable[Path]) -> list[Path]:
    """The paths of all libraries that files need, and of the loader, under the names they are looked for by.

    Raises MissingInfoError for one that is not there.
    """
    found: set[str] = set()
    for file in files:
        try:
            answer = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            raise MissingInfoError("ldd is missing: it belongs to the C library.", hint="Install libc-bin.") from None
        if missing := _MISSING.findall(answer):
            raise MissingInfoError(f"{file} needs the library {missing[0]}, which is not there.")
        found.update(_FOUND.findall(answer))
    return sorted(map(Path, found))
