# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the bytes of a dump go: they are written at offsets, in logical writes of one or more buffers."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mdf.core.errors import NoSpaceError, OutputError, OutputExistsError

Buffer = bytes | bytearray | memoryview

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BUFFERS_MAX = 1024  # IOV_MAX


class PartialWriteError(NoSpaceError):
    """The device is full; the first `written` bytes of the write are there."""

    def __init__(self, message: str, written: int) -> None:
        super().__init__(message)
        self.written = written


class Sink(Protocol):
    """Takes the dump. `written` counts the bytes of logical writes; corrections do not count."""

    written: int

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Writes the buffers, one behind the other, from `offset`. Raises PartialWriteError, OutputError."""
        ...

    def correct(self, offset: int, data: bytes) -> None:
        """Replaces bytes written before."""
        ...


def check_output(path: Path, vmcore: Path, force: bool) -> None:
    """Raises OutputError if a dump of `vmcore` cannot go to `path`; nothing is read or touched."""
    if path.exists() and vmcore.exists() and path.samefile(vmcore):
        raise OutputError(f"Can't open the dump file ({path}). It is the VMCORE itself.")
    if os.path.lexists(path):
        if not force:
            raise _cannot_open(path, errno.EEXIST)
        if not os.access(path, os.W_OK):
            raise _cannot_open(path, errno.EACCES)
    elif not path.parent.is_dir():
        raise _cannot_open(path, errno.ENOENT)


def remove_output(path: Path) -> None:
    """Removes a dump that did not fit, to try again; a device stays."""
    if path.is_file():
        path.unlink()


def _cannot_open(path: Path, number: int) -> OutputError:
    message = f"Can't open the dump file ({path}). {os.strerror(number)}"
    if number == errno.EEXIST:
        return OutputExistsError(message, hint="Use -f to overwrite it.")
    return OutputError(message)


class FileSink:
    """A seekable file, readable by its owner only, that is created, or with `force` emptied."""

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.path = path
        self.written = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if force else os.O_EXCL)
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise _cannot_open(path, error.errno or 0) from error

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        size = sum(map(len, buffers))
        done = self._pwritev(buffers[:_BUFFERS_MAX], offset, 0)
        if done < size:
            # A short write comes before a full device says so; and one call takes so many buffers only.
            rest = memoryview(b"".join(buffers))
            while done < size:
                done += self._pwritev([rest[done:]], offset + done, done)
        self.written += size

    def _pwritev(self, buffers: Sequence[Buffer], offset: int, done: int) -> int:
        try:
            return os.pwritev(self._fd, buffers, offset)
        except OSError as error:
            message = f"Can't write the dump file({self.path}). {error.strerror}"
            if error.errno in _NO_SPACE:
                raise PartialWriteError(message, done) from error
            raise OutputError(message) from error

    def correct(self, offset: int, data: bytes) -> None:
        self._pwritev([data], offset, 0)

    def close(self) -> None:
        """Closes the file. Raises OutputError if the device could not take what was written."""
        if self._fd < 0:
            return
        descriptor, self._fd = self._fd, -1
        try:
            os.close(descriptor)
        except OSError as error:
            raise OutputError(f"Can't close the dump file({self.path}). {error.strerror}") from error

    def abandon(self) -> None:
        """Closes a file that could not be finished; the errors of that are of no interest any more."""
        with suppress(OutputError):
            self.close()
