# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the log goes: a new file, readable by its owner only, or standard output."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Self

from mdf.core.errors import NoSpaceError, OutputError, OutputExistsError
from mdf.core.paths import same_file

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BATCH = 1 << 16


def check_output(path: Path, vmcore: Path, force: bool) -> None:
    """Raises OutputError if the log of `vmcore` cannot go to `path`, without touching it."""
    if same_file(path, vmcore):
        raise OutputError(f"Can't open the dump file ({path}). It is the VMCORE itself.")
    if os.path.lexists(path) and not force:
        raise _cannot_open(path, errno.EEXIST)


class Output:
    """Takes the lines of the log, up to `limit` bytes; `written` counts them. `name` is what messages call it."""

    def __init__(self, path: Path | None, *, force: bool = False, limit: int | None = None) -> None:
        self.name = "STDOUT" if path is None else str(path)
        self.written = 0
        self._limit = limit
        self._batch = bytearray()
        self._is_ours = path is not None
        self._fd = sys.stdout.fileno() if path is None else _create(path, force)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or not issubclass(kind, OSError):
                self._flush()
        finally:
            if self._is_ours:
                self._close()

    def write(self, line: bytes) -> None:
        """Adds a line. Raises NoSpaceError, OutputError, and BrokenPipeError for a reader that went away."""
        self._batch += line
        if len(self._batch) >= _BATCH:
            self._flush()

    def _close(self) -> None:
        try:
            os.close(self._fd)
        except OSError as error:
            raise OutputError(f"Can't close the dump file({self.name}). {error.strerror}") from error

    def _flush(self) -> None:
        batch = memoryview(bytes(self._batch))
        self._batch.clear()
        if self._limit is not None and self.written + len(batch) > self._limit:
            self._write(batch[: self._limit - self.written])
            raise NoSpaceError(f"Can't write the dump file({self.name}). The size limit is reached.")
        self._write(batch)

    def _write(self, batch: memoryview) -> None:
        while batch:
            try:
                count = os.write(self._fd, batch)
            except BrokenPipeError:
                raise
            except OSError as error:
                kind = NoSpaceError if error.errno in _NO_SPACE else OutputError
                raise kind(f"Can't write the dump file({self.name}). {error.strerror}") from error
            self.written += count
            batch = batch[count:]


def _create(path: Path, force: bool) -> int:
    # A FIFO that nobody reads is an error: not a run that waits for ever.
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise _cannot_open(path, error.errno or 0) from error
    os.set_blocking(descriptor, True)
    return descriptor


def _cannot_open(path: Path, number: int) -> OutputError:
    message = f"Can't open the dump file ({path}). {os.strerror(number)}"
    if number == errno.EEXIST:
        return OutputExistsError(message, hint="Use -f to overwrite it.")
    return OutputError(message)
