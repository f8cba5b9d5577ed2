# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes into the initrd: which file, to which place.

    /usr/bin/NAME                            the commands, each a link to
    /usr/lib/makedumpfile/makedumpfile.pyz   all of our modules in one file, which begins with the path of
    /usr/lib/makedumpfile/bin/pythonX.Y      the interpreter that makes the payload, which finds beside itself
    /usr/lib/makedumpfile/lib/pythonX.Y/     the part of the standard library that is needed, and the codecs
    /lib, ...                                the shared libraries of all these, at their own places

An interpreter looks for its library relative to itself, so that it uses nothing of another Python. Modules are byte
code without source: half the size, and nothing to compile in the capture kernel.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mdf.core.errors import MissingInfoError
from mdf.initrd.application import application
from mdf.initrd.bytecode import byte_code
from mdf.initrd.commands import installed
from mdf.initrd.libraries import names, needed
from mdf.initrd.modules import Module, load

HOME = PurePosixPath("usr/lib/makedumpfile")
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
INTERPRETER = HOME / "bin" / VERSION
LIBRARY = HOME / sys.platlibdir / VERSION
APPLICATION = HOME / "makedumpfile.pyz"

# Isolated from the environment, and without the packages of a site.
SHEBANG = f"#!/{INTERPRETER} -IS\n".encode()


@dataclass(frozen=True)
class Entry:
    """A file of the payload at `target`, relative to the root of the initrd: its `content`, or a link to `link`."""

    target: PurePosixPath
    content: bytes | Path = b""
    executable: bool = False
    link: str = ""

    def read(self) -> bytes:
        """The content."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content


def payload() -> tuple[Entry, ...]:
    """The payload of what is installed here, sorted by place.

    Raises MissingInfoError when no command is installed that an initrd can use, or a shared library is missing.
    """
    commands = installed()
    if not commands:
        raise MissingInfoError("No command is installed for an initrd.", hint="pip install mdf-capture")
    entries = {entry.target: entry for entry in _entries(commands)}
    return tuple(entries[target] for target in sorted(entries))


def _entries(commands: Mapping[str, str]) -> Iterator[Entry]:
    loaded = load(commands.values())
    ours = [module for module in loaded.modules if module.ours]
    yield Entry(APPLICATION, SHEBANG + application(commands, ours), executable=True)
    for name in commands:
        yield Entry(PurePosixPath("usr/bin", name), link=f"../../{APPLICATION}")
    interpreter = Path(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))
    yield Entry(INTERPRETER, interpreter, executable=True)
    native = [interpreter]
    for module in loaded.modules:
        if module.ours:
            continue
        if module.source:
            yield Entry(LIBRARY / f"{module.path}.pyc", byte_code(module))
        else:
            native.append(module.file)
            yield Entry(_place_of_native(module), module.file, executable=True)
    # The interpreter takes the folder as the sign that this is the place of native modules, even of none.
    yield Entry(LIBRARY / "lib-dynload" / "README", b"Native modules.\n")
    required = needed(native)
    known = {path.resolve() for path in (*required, *native)}
    opened = names(library for library in loaded.libraries if library not in known)
    for library in {*required, *opened, *needed(opened)}:
        yield Entry(PurePosixPath(str(library).lstrip("/")), library, executable=True)


def _place_of_native(module: Module) -> PurePosixPath:
    folder, _, _ = module.path.rpartition("/")
    return LIBRARY / (folder or "lib-dynload") / module.file.name
