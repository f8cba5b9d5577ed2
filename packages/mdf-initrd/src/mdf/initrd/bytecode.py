# SPDX-License-Identifier: GPL-2.0-or-later
"""Byte code that needs no source beside it, and is the same whenever it is made."""

from __future__ import annotations

import py_compile
import tempfile
from pathlib import Path

from mdf.initrd.modules import Module


def byte_code(module: Module) -> bytes:
    """The content of the `.pyc` file of a module with source; tracebacks name the module's place, not the host's."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "module.pyc")
        py_compile.compile(
            str(module.file),
            str(target),
            dfile=f"{module.path}.py",
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        return target.read_bytes()
