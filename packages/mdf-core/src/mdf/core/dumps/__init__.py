# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening dumps. Each kind has a module; `open_dump` tells them apart."""

from __future__ import annotations

from pathlib import Path

from mdf.core.dumps.dump import Dump
from mdf.core.dumps.elf import ElfDump
from mdf.core.dumps.flattened import FlattenedSource, is_flattened
from mdf.core.dumps.kdump import KdumpFile, is_kdump
from mdf.core.dumps.source import Source

__all__ = ["Dump", "ElfDump", "KdumpFile", "open_dump"]


def open_dump(path: Path | str) -> Dump:
    """Opens an ELF vmcore or a kdump-compressed dump; either may be inside of a flattened stream.

    Raises InputError if the file cannot be opened or read, FormatError if it is damaged or neither of them,
    UnsupportedError for a header version that is not known.
    """
    source = Source(Path(path))
    try:
        if is_flattened(source):
            source = FlattenedSource(source)
        return KdumpFile(source) if is_kdump(source) else ElfDump(source)
    except BaseException:
        source.close()
        raise
