# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command with a fault in it: `python -m faults.inject FAULT COUNT MODULE ARGUMENT...`.

COUNT is how many system calls of the kind go well before. Each fault is a function of it that changes this process.
"""

from __future__ import annotations

import errno
import itertools
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

READS = ("preadv", "pread", "read", "readv", "copy_file_range", "sendfile")
WRITES = ("pwritev", "pwrite", "write", "writev", "copy_file_range", "sendfile")


def before(names: tuple[str, ...], count: int, act: Callable[[], None]) -> None:
    """Calls `act` before system calls of these names, once `count` of them went well."""
    calls = itertools.count()

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(calls) >= count:
                act()
            return original(*arguments, **named)

        return call

    for name in names:
        setattr(os, name, wrapped(getattr(os, name)))


def _eio() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _enospc() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _shrink() -> None:
    for path in map(Path, sys.argv[4:]):
        if path.name == "input" and path.stat().st_size:
            os.truncate(path, path.stat().st_size // 2)


def _signal(number: signal.Signals) -> Callable[[int], None]:
    return lambda count: before(WRITES, count, lambda: os.kill(os.getpid(), number))


def _clock(count: int) -> None:
    jumps = itertools.cycle((0.0, 1e9, -1e9, 3.0, -5.0))
    time.monotonic = lambda: next(jumps)


def _descriptors(count: int) -> None:
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + count, used + count))


FAULTS: dict[str, Callable[[int], None]] = {
    "read-eio": lambda count: before(READS, count, _eio),
    "write-eio": lambda count: before(WRITES, count, _eio),
    "enospc": lambda count: before(WRITES, count, _enospc),
    "shrink": lambda count: before(READS, count, _shrink),
    "sigterm": _signal(signal.SIGTERM),
    "sigkill": _signal(signal.SIGKILL),
    "clock": _clock,
    "descriptors": _descriptors,
    "none": lambda count: None,
}


def main() -> None:
    """Loads the command, sets the fault, and runs the command."""
    fault, count, module, *arguments = sys.argv[1:]
    command = import_module(module).main
    for name in ("run", "encode", "copy", "check"):  # What commands load late, before files get scarce.
        if module.startswith("mdf.capture"):
            import_module(f"mdf.capture.{name}")
    FAULTS[fault](int(count))
    sys.exit(command(arguments))


if __name__ == "__main__":
    main()
