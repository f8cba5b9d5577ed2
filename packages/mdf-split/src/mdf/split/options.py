# SPDX-License-Identifier: GPL-2.0-or-later
"""What a split dump is asked to be."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mdf.capture.options import Options
from mdf.core import lenient
from mdf.core.commandline import ParsedArguments
from mdf.core.errors import OutputError, UsageError
from mdf.core.options import Mode

_DEFAULT_BLOCK = 1 << 30


@dataclass(frozen=True)
class SplitOptions:
    """A dump, as `dump` describes it but for its `dumpfile`, that goes into several `dumpfiles`.

    Memory is divided at multiples of `splitblock_size`, in KiB; the default is 1 GiB.
    """

    dump: Options
    dumpfiles: tuple[Path, ...]
    splitblock_size: int | None = None

    @classmethod
    def from_parsed(cls, parsed: ParsedArguments, modes: Mode = Mode.SPLIT, command: str = "mdf-split") -> SplitOptions:
        """Checks arguments, for a `command` of so many modes.

        Raises UsageError for what cannot be, UnsupportedError for what is not there yet.
        """
        dump = Options.from_parsed(parsed, modes, command)
        size = lenient.count(parsed.last("splitblock_size") or "")
        return cls(dump, tuple(map(Path, parsed.operands[1:])), size or None)

    def check(self) -> None:
        """Raises UsageError for a dump that cannot be split, OutputError for a file that is named twice."""
        dump = self.dump
        if dump.elf or dump.flattened or dump.num_threads:
            raise UsageError("A split dump is kdump-compressed, goes into files, and has one thread for each of them.")
        if len(self.dumpfiles) < 2:
            raise UsageError("A split dump needs two or more files.")
        places = [os.path.realpath(path) for path in self.dumpfiles]
        for path, place in zip(self.dumpfiles, places, strict=True):
            if places.count(place) > 1:
                raise OutputError(f"Can't open the dump file ({path}). It is named twice.")

    def block_pages(self, page_size: int) -> int:
        """How many pages of memory stay together. Raises UsageError for a size that is not one of whole pages."""
        size = self.splitblock_size << 10 if self.splitblock_size else _DEFAULT_BLOCK
        if size % page_size:
            raise UsageError(
                f"The splitblock size must be a multiple of the page size: {size >> 10} KiB is not one of {page_size}"
                " bytes."
            )
        return size // page_size
