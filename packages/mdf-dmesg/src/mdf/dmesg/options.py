# SPDX-License-Identifier: GPL-2.0-or-later
"""What log is asked for, and where it goes: the arguments as one frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mdf.core import lenient
from mdf.core.commandline import ParsedArguments
from mdf.core.options import Mode
from mdf.core.rules import check, expect_mode


@dataclass(frozen=True)
class Options:
    """The log of `vmcore`, to be written to `logfile` (None: standard output).

    `partial` leaves out what came before the log was last cleared; `json` writes one record a line. `size_limit` is in
    bytes. `vmlinux` and `vmcoreinfo` are other sources of the kernel's symbols and types than the vmcore itself; of
    `disk_set`, the files of a dump that has several, `vmcore` is the first.
    """

    vmcore: Path
    logfile: Path | None = None
    partial: bool = False
    json: bool = False
    force: bool = False
    size_limit: int | None = None
    non_mmap: bool = False
    vmlinux: Path | None = None
    vmcoreinfo: Path | None = None
    disk_set: tuple[Path, ...] = ()

    @classmethod
    def from_parsed(cls, parsed: ParsedArguments, *, json: bool = False) -> Options:
        """Reads and checks arguments. Raises UsageError for what cannot be, UnsupportedError for what is not there."""
        for levels in parsed.every("dump_levels"):
            lenient.dump_levels(levels)
        limits = [lenient.size(limit) for limit in parsed.every("size_limit")]
        check(parsed)
        expect_mode(parsed, Mode.DMESG, "mdf-dmesg")
        disk_set = tuple(map(Path, parsed.every("disk_set")))
        files = disk_set[:1] + tuple(map(Path, parsed.operands))
        return cls(
            vmcore=files[0],
            logfile=None if parsed.has("flattened") else files[1],
            partial=parsed.has("partial_dmesg"),
            json=json,
            force=parsed.has("force"),
            size_limit=limits[-1] if limits else None,
            non_mmap=parsed.has("non_mmap"),
            vmlinux=_path(parsed.last("vmlinux")),
            vmcoreinfo=_path(parsed.last("vmcoreinfo", "xen_vmcoreinfo")),
            disk_set=disk_set,
        )

    @property
    def vmcores(self) -> tuple[Path, ...]:
        """All files that are read."""
        return self.disk_set or (self.vmcore,)


def _path(argument: str | None) -> Path | None:
    return Path(argument) if argument else None
