# SPDX-License-Identifier: GPL-2.0-or-later
"""Opening dumps. Each kind has a module, which is loaded for a file of its kind; `open_dump` tells them apart."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdf.core.bitmap import Place
from mdf.core.dumps.dump import Dump
from mdf.core.dumps.elf import ElfDump
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError, MdfError, UnsupportedError
from mdf.core.formats.diskdump import SIGNATURE as KDUMP
from mdf.core.formats.flattened import SIGNATURE as FLATTENED
from mdf.core.formats.vmcoreinfo import Vmcoreinfo

if TYPE_CHECKING:
    from mdf.core.dumps.kdump import KdumpFile

__all__ = ["Dump", "ElfDump", "KdumpFile", "expect_linux", "is_xen", "open_dump"]


def open_dump(
    path: Path | str,
    *others: Path | str,
    given: Vmcoreinfo | None = None,
    place: Place | None = None,
    mapped: bool = True,
) -> Dump:
    """Opens an ELF vmcore or a kdump-compressed dump, whose files may be flattened streams.

    Of a split dump, all files are to be given, in any order. `given` is kernel information from another source, for a
    vmcore that has none; bitmaps of the dump live in `place`. Files are read with system calls only if not `mapped`,
    else /proc/vmcore through windows of it. Raises InputError if a file cannot be opened or read,
    FormatError if it is damaged or no dump, or if the files are not those of one split dump, UnsupportedError for a
    header version that is not known.
    """
    with ExitStack() as opened:
        sources = [_source(Path(name), opened, mapped) for name in (path, *others)]
        for source in sources[1:] and sources:
            if not _is_kdump(source):
                raise FormatError(f"{source.path} is not a kdump-compressed dump.", hint="Only such dumps are split.")
        dump = _kdump(sources, place) if _is_kdump(sources[0]) else ElfDump(sources[0], given)
        opened.pop_all()
        return dump


def _is_kdump(source: Source) -> bool:
    return source.begins_with(KDUMP)


def _kdump(sources: list[Source], place: Place | None) -> KdumpFile:
    from mdf.core.dumps.kdump import KdumpFile

    return KdumpFile(*sources, place=place)


def _source(path: Path, opened: ExitStack, mapped: bool) -> Source:
    source = Source(path, mapped=mapped)
    opened.callback(source.close)
    if not source.begins_with(FLATTENED):
        return source
    from mdf.core.dumps.flattened import FlattenedSource

    return FlattenedSource(source)


def expect_linux(dump: Dump) -> None:
    """Raises UnsupportedError for the dump of a Xen host, which only mdf-xen can look at."""
    if dump.xen:
        raise UnsupportedError(f"{dump.source.path} is a dump of a Xen hypervisor.", hint="mdf-xen is for those.")


def is_xen(*files: Path) -> bool:
    """Whether files are the dump of a Xen host; not if they can't be read."""
    try:
        with open_dump(*files) as dump:
            return dump.xen
    except (MdfError, OSError):
        return False


def __getattr__(name: str) -> Any:
    if name == "KdumpFile":
        from mdf.core.dumps.kdump import KdumpFile

        return KdumpFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
