# SPDX-License-Identifier: GPL-2.0-or-later
"""What a dump is asked to be: the arguments as one frozen record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from mdf.core import lenient
from mdf.core.commandline import ParsedArguments, message_level, parse
from mdf.core.messages import DEFAULT_LEVEL
from mdf.core.options import COMPRESSIONS, Mode
from mdf.core.rules import check, expect_mode, require_supported

Compression = Literal["zlib", "lzo", "snappy", "zstd"]


@dataclass(frozen=True)
class Options:
    """A dump to make of `vmcore`. The defaults are those of the command line.

    `dump_levels` are tried in order while the device is full; `vtop` is the virtual address to translate first;
    `vmlinux` and `vmcoreinfo` are other sources of the kernel's symbols and types than the vmcore itself.
    `cyclic_buffer` is in KiB, `size_limit` in bytes; `block_order` is the logarithm of the pages in a write.
    `num_threads` processes compress (None: as many as there are CPUs to use; 0: the one that reads and writes does).
    Of `disk_set`, the files of a dump that has several, `vmcore` is the first.
    """

    vmcore: Path
    dumpfile: Path | None = None
    dump_levels: tuple[int, ...] = (0,)
    compression: Compression | None = None
    elf: bool = False
    force: bool = False
    flattened: bool = False
    dry_run: bool = False
    size_limit: int | None = None
    message_level: int = int(DEFAULT_LEVEL)
    check_params: bool = False
    vtop: int | None = None
    vmlinux: Path | None = None
    vmcoreinfo: Path | None = None
    work_dir: Path | None = None
    cyclic_buffer: int | None = None
    block_order: int = 4
    num_threads: int | None = None
    non_mmap: bool = False
    exclude_unused_vmemmap: bool = False
    erase_config: Path | None = None
    eppic: Path | None = None
    extensions: tuple[Path, ...] = ()
    disk_set: tuple[Path, ...] = ()
    mem_usage: bool = False
    trust_filter: bool = False

    @classmethod
    def from_argv(cls, argv: Sequence[str]) -> Options:
        """Reads and checks arguments (without the command's name).

        Raises UsageError for what cannot be, UnsupportedError for what is not there yet.
        """
        return cls.from_parsed(parse(argv))

    @classmethod
    def from_parsed(
        cls, parsed: ParsedArguments, modes: Mode = Mode.CAPTURE | Mode.MEM_USAGE, command: str = "mdf-capture"
    ) -> Options:
        """The same, of arguments that are parsed already, for a `command` of other `modes`."""
        values: dict[str, Any] = {name: True for name, argument in parsed.given if name in _FLAGS}
        # Every use of an option is checked; the last one stays.
        values |= {name: _ARGUMENTS[name](argument) for name, argument in parsed.given if name in _ARGUMENTS}
        values["compression"] = parsed.last_of(COMPRESSIONS)
        values["message_level"] = message_level(parsed)
        check(parsed)
        expect_mode(parsed, modes, command)
        disk_set = tuple(map(Path, parsed.every("disk_set")))
        files = disk_set[:1] + tuple(map(Path, parsed.operands))
        options = cls(
            vmcore=files[0],
            dumpfile=files[1] if len(files) == 2 and not parsed.has("flattened") | parsed.has("mem_usage") else None,
            vmcoreinfo=_path(parsed.last("vmcoreinfo", "xen_vmcoreinfo") or ""),
            extensions=tuple(map(Path, parsed.every("extensions"))),
            disk_set=disk_set,
            **values,
        )
        options.require_supported()
        return options

    @property
    def vmcores(self) -> tuple[Path, ...]:
        """All files that are read."""
        return self.disk_set or (self.vmcore,)

    def require_supported(self) -> None:
        """Raises UnsupportedError, naming the option, for a request that cannot be carried out yet."""
        require_supported(self, NOT_YET)


def _path(argument: str) -> Path | None:
    return Path(argument) if argument else None


_FLAGS = frozenset(field.name for field in fields(Options) if field.default is False)

_ARGUMENTS: dict[str, Callable[[str], object]] = {
    "dump_levels": lenient.dump_levels,
    "size_limit": lenient.size,
    "vtop": lambda argument: lenient.address(argument) or None,
    "vmlinux": _path,
    "work_dir": _path,
    "cyclic_buffer": lambda argument: lenient.count(argument) or None,
    "block_order": lenient.count,
    "num_threads": lenient.count,
    "erase_config": _path,
    "eppic": _path,
}

# The fields that nothing acts on yet, and how the user writes them.
NOT_YET = {
    "exclude_unused_vmemmap": "Leaving out unused vmemmap pages (-e)",
    "erase_config": "Erasing by a configuration (--config)",
    "eppic": "Erasing by eppic macros (--eppic)",
    "extensions": "Loading an extension (--extension)",
    "mem_usage": "Counting the running kernel's pages (--mem-usage)",
}
