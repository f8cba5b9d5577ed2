# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the bytes of a dump go: they are written at offsets, in logical writes of one or more buffers."""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mdf.capture.holes import stretches
from mdf.core.errors import NoSpaceError, OutputError, OutputExistsError
from mdf.core.formats import flattened
from mdf.core.paths import same_file

Buffer = bytes | bytearray | memoryview

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BUFFERS_MAX = 1024  # IOV_MAX
# Smaller writes cost more for each page; larger ones bring nothing and stay longer in the kernel.
_CALL_MAX = 1 << 20


class PartialWriteError(NoSpaceError):
    """The device is full, or the size limit is reached; the first `written` bytes of the write are there."""

    def __init__(self, message: str, written: int) -> None:
        super().__init__(message)
        self.written = written


class Sink(ABC):
    """Takes the dump, up to `limit` bytes if there is one.

    `written` counts the bytes of logical writes; corrections do not count. A `stream` shows each logical write to its
    reader, and nothing in it can be corrected: it shows by its end that it is whole.
    """

    stream = False

    def __init__(self, name: str, limit: int | None = None) -> None:
        self.name = name
        self.written = 0
        self._limit = limit

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Writes the buffers, one behind the other, from `offset`. Raises PartialWriteError, OutputError."""
        size = sum(map(len, buffers))
        room = size if self._limit is None else max(self._limit - offset, 0)
        if size > room:
            self._put(offset, [memoryview(b"".join(buffers))[:room]])
            raise PartialWriteError(f"The size limit of {self._limit} bytes is reached.", room)
        self._put(offset, buffers)
        self.written += size

    @abstractmethod
    def _put(self, offset: int, buffers: Sequence[Buffer]) -> None: ...

    def correct(self, offset: int, data: bytes) -> None:  # noqa: B027 (a sink may keep nothing)
        """Replaces bytes written before."""

    def close(self) -> None:  # noqa: B027
        """Ends a whole dump. Raises OutputError if the device could not take what was written."""

    def abandon(self) -> None:  # noqa: B027
        """Ends a dump that could not be finished."""


class NullSink(Sink):
    """Takes everything and keeps nothing."""

    def _put(self, offset: int, buffers: Sequence[Buffer]) -> None:
        pass


class FileSink(Sink):
    """A seekable file, readable by its owner only, that is created, or with `force` emptied.

    Long runs of zeros behind all that was written become holes of a regular file; a device may hold anything there.
    """

    def __init__(self, path: Path, *, force: bool = False, limit: int | None = None) -> None:
        super().__init__(str(path), limit)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if force else os.O_EXCL)
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            raise _cannot_open(path, error.errno or 0) from error
        self._sparse = stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._end = 0

    def _put(self, offset: int, buffers: Sequence[Buffer]) -> None:
        behind, self._end = offset >= self._end, max(self._end, offset + sum(map(len, buffers)))
        if self._sparse and behind:
            with suppress(PartialWriteError):  # Then all of it again without holes: that says how much is there.
                for begin, data in stretches(buffers):
                    self._fill(offset + begin, data)
                return
        self._fill(offset, buffers)

    def _fill(self, offset: int, buffers: Sequence[Buffer]) -> None:
        done = 0
        for piece in _cut(buffers):
            size, before = sum(map(len, piece)), done
            done += self._pwritev(piece, offset + done, done)
            if done < before + size:
                # A short write comes before a full device says so.
                rest = memoryview(b"".join(piece))
                while done < before + size:
                    done += self._pwritev([rest[done - before :]], offset + done, done)

    def _pwritev(self, buffers: Sequence[Buffer], offset: int, done: int) -> int:
        try:
            return os.pwritev(self._fd, buffers, offset)
        except OSError as error:
            raise _write_error(self.name, error, done) from error

    def correct(self, offset: int, data: bytes) -> None:
        self._put(offset, [data])

    def close(self) -> None:
        if self._fd < 0:
            return
        descriptor, self._fd = self._fd, -1
        try:
            os.close(descriptor)
        except OSError as error:
            raise OutputError(f"Can't close the dump file({self.name}). {error.strerror}") from error

    def abandon(self) -> None:
        with suppress(OutputError):  # The first error is the one of interest.
            self.close()


def _cut(buffers: Sequence[Buffer]) -> Iterator[list[Buffer]]:
    """The buffers in pieces for one system call: at most `_CALL_MAX` bytes and `_BUFFERS_MAX` buffers each."""
    piece: list[Buffer] = []
    room = _CALL_MAX
    for buffer in buffers:
        at = 0
        while at < len(buffer):
            part = buffer if len(buffer) <= room and not at else memoryview(buffer)[at : at + room]
            piece.append(part)
            at += len(part)
            room -= len(part)
            if not room or len(piece) == _BUFFERS_MAX:
                yield piece
                piece, room = [], _CALL_MAX
    if piece:
        yield piece


class FlattenedSink(Sink):
    """A flattened stream on the file descriptor `fd`, which need not be seekable. `limit` is that of the stream."""

    stream = True

    def __init__(self, fd: int, *, limit: int | None = None) -> None:
        super().__init__("STDOUT", None)
        self._fd = fd
        self._left = limit
        self._send([flattened.pack_header()])

    def _put(self, offset: int, buffers: Sequence[Buffer]) -> None:
        self._send([flattened.pack_record(offset, sum(map(len, buffers))), *buffers])

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        super().write(offset, buffers)
        self.written += flattened.RECORD_SIZE

    def _send(self, buffers: Sequence[Buffer]) -> None:
        data = memoryview(b"".join(buffers))
        room = len(data) if self._left is None else min(self._left, len(data))
        done = 0
        while done < room:
            try:
                done += os.write(self._fd, data[done:room])
            except BrokenPipeError:
                raise
            except OSError as error:
                raise _write_error(self.name, error, done) from error
        if self._left is not None:
            self._left -= room
        if room < len(data):
            raise PartialWriteError("The size limit of the stream is reached.", 0)

    def close(self) -> None:
        self._send([flattened.pack_record(flattened.END, flattened.END)])


def check_output(path: Path, vmcore: Path, force: bool) -> None:
    """Raises OutputError if a dump of `vmcore` cannot go to `path`; nothing is read or touched."""
    if same_file(path, vmcore):
        raise OutputError(f"Can't open the dump file ({path}). It is the VMCORE itself.")
    if os.path.lexists(path):
        if not force:
            raise _cannot_open(path, errno.EEXIST)
        if path.is_dir():
            raise _cannot_open(path, errno.EISDIR)
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


def _write_error(name: str, error: OSError, done: int) -> OutputError:
    message = f"Can't write the dump file({name}). {error.strerror}"
    return PartialWriteError(message, done) if error.errno in _NO_SPACE else OutputError(message)
