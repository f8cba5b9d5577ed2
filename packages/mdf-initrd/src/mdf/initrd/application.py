# SPDX-License-Identifier: GPL-2.0-or-later
"""All of our modules in one file that Python runs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping

from mdf.initrd.bytecode import byte_code
from mdf.initrd.modules import Module

# The commands are links to the file: the name it is called by decides. Any other name is the first command's.
MAIN = """\
import os, sys
from importlib import import_module
commands = {commands!r}
sys.exit(import_module(commands.get(os.path.basename(sys.argv[0]), {first!r})).main())
"""


def application(commands: Mapping[str, str], modules: Iterable[Module]) -> bytes:
    """A zip file of the modules' byte code that behaves as the command it is called by.

    It is stored, not compressed: the initrd is compressed as a whole, and better.
    """
    files = {f"{module.path}.pyc": byte_code(module) for module in modules}
    files["__main__.py"] = MAIN.format(commands=dict(commands), first=next(iter(commands.values()))).encode()
    # A namespace package is known by the entry of its folder alone.
    folders = {f"{name.rpartition('/')[0]}/" for name in files if "/" in name} | {"mdf/"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(folders | set(files)):
            archive.writestr(zipfile.ZipInfo(name), files.get(name, b""))
    return buffer.getvalue()
