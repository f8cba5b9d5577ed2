# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command with a fault in it: `python -m faults.inject FAULT COUNT MODULE ARGUMENT...`.

COUNT is how many system calls of the kind go well before. Each fault is a function of it that changes this process.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
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
    if names != WRITES:
        io.open = _opened(wrapped)


def _opened(wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """Files that Python reads without the functions of `os`."""
    original = io.open

    class File(io.FileIO):
        readinto = wrapped(io.FileIO.readinto)
        readall = wrapped(io.FileIO.readall)

    def opened(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        return io.BufferedReader(File(path)) if mode == "rb" else original(path, mode, *arguments, **named)

    return opened


def _eio() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _enospc() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _inputs() -> list[Path]:
    """The first of the input files."""
    return [path for path in map(Path, sys.argv[4:]) if path.name == "input" and path.stat().st_size]


def _shrink() -> None:
    for path in _inputs():
        os.truncate(path, path.stat().st_size // 2)


def _change(count: int) -> None:
    """Bytes of the inputs are others at every read from some time on."""
    chance = random.Random(count)

    def act() -> None:
        for path in _inputs():
            with path.open("r+b") as file:
                for _ in range(8):
                    file.seek(chance.randrange(path.stat().st_size - 8))
                    file.write(chance.randbytes(8))

    before(READS, count, act)


def _signal(number: signal.Signals, calls: tuple[str, ...]) -> Callable[[int], None]:
    return lambda count: before(calls, count, lambda: os.kill(os.getpid(), number))


def _halved(_: int) -> None:
    """Reads and writes do only half of what they are asked for, as they may."""
    pread, preadv, read, readv = os.pread, os.preadv, os.read, os.readv
    write, writev, pwrite, pwritev = os.write, os.writev, os.pwrite, os.pwritev
    copy, send = os.copy_file_range, os.sendfile

    def half(size: int) -> int:
        return -(-size // 2)

    def first(buffers: Sequence[Any]) -> list[memoryview]:
        whole = memoryview(next(buffer for buffer in buffers if len(buffer))).cast("B")
        return [whole[: half(len(whole))]]

    calls: dict[str, Callable[..., Any]] = {
        "pread": lambda fd, size, offset: pread(fd, half(size), offset),
        "preadv": lambda fd, buffers, offset, flags=0: preadv(fd, first(buffers), offset, flags),
        "read": lambda fd, size: read(fd, half(size)),
        "readv": lambda fd, buffers: readv(fd, first(buffers)),
        "write": lambda fd, data: write(fd, first([data])[0]),
        "writev": lambda fd, buffers: writev(fd, first(buffers)),
        "pwrite": lambda fd, data, offset: pwrite(fd, first([data])[0], offset),
        "pwritev": lambda fd, buffers, offset, flags=0: pwritev(fd, first(buffers), offset, flags),
        "copy_file_range": lambda source, target, count, *offsets: copy(source, target, half(count), *offsets),
        "sendfile": lambda target, source, offset, count: send(target, source, offset, half(count)),
    }
    for name, call in calls.items():
        setattr(os, name, call)


def _file_size(limit: int) -> None:
    """No file may get larger, as on a device that is full at that place."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def _clock(count: int) -> None:
    jumps = itertools.cycle((0.0, 1e9, -1e9, 3.0, -5.0))
    time.monotonic = lambda: next(jumps)


def _descriptors(count: int) -> None:
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + count, used + count))


# What commands load late, before files get scarce.
LATE = {
    "mdf.capture.cli": ("mdf.capture.run", "mdf.capture.encode", "mdf.capture.copy", "mdf.capture.check"),
    "mdf.xen.cli": ("mdf.xen.run", "mdf.capture.encode", "mdf.capture.copy"),
    "mdf.vmcoreinfo.cli": ("mdf.core.debuginfo.find", "mdf.vmcoreinfo.text"),
}
FAULTS: dict[str, Callable[[int], None]] = {
    "read-eio": lambda count: before(READS, count, _eio),
    "write-eio": lambda count: before(WRITES, count, _eio),
    "enospc": lambda count: before(WRITES, count, _enospc),
    "shrink": lambda count: before(READS, count, _shrink),
    "change": _change,
    "halved": _halved,
    "file-size": _file_size,
    "sigterm": _signal(signal.SIGTERM, WRITES),
    "sigkill": _signal(signal.SIGKILL, WRITES),
    "sigterm-anywhere": _signal(signal.SIGTERM, (*READS, *WRITES)),
    "sigkill-anywhere": _signal(signal.SIGKILL, (*READS, *WRITES)),
    "clock": _clock,
    "descriptors": _descriptors,
    "none": lambda count: None,
}


def main() -> None:
    """Loads the command, sets the fault, and runs the command."""
    fault, count, module, *arguments = sys.argv[1:]
    command = import_module(module).main
    for name in LATE.get(module, ()):
        import_module(name)
    FAULTS[fault](int(count))
    sys.exit(command(arguments))


if __name__ == "__main__":
    main()
