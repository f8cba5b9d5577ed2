# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that is read at offsets, whatever its kind: regular file, block device, /proc/vmcore."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mdf.core.dumps.windows import Windows, worth_mapping
from mdf.core.errors import FormatError, InputError


class Source:
    """An open input file of `size` bytes, for which `file_size` bytes are really there.

    /proc/vmcore is read through windows of it in the address space, if it may be `mapped`.
    Raises InputError if it cannot be opened.
    """

    def __init__(self, path: Path, *, mapped: bool = True) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"Can't open the dump memory({path}). {error.strerror}") from error
        try:
            self.size = self.file_size = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            os.close(self._fd)
            raise InputError(
                f"Can't open the dump memory({path}). {error.strerror}",
                hint="A dump must be a file or device that can be read at any offset; save a stream to a file first.",
            ) from error
        self._windows = Windows(self._fd, self.size) if mapped and worth_mapping(self._fd) else None

    def close(self) -> None:
        """Closes the file; the second call does nothing."""
        self._windows = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Exactly `size` bytes from `offset`. `what` names them when the file ends before: FormatError."""
        if offset + size > self.size:
            raise self._truncated(offset, size, what)
        if not self._windows:
            with suppress(OSError):  # It comes again below.
                data = os.pread(self._fd, size, offset)
                if len(data) == size:
                    return data
        return self._read_copy(offset, size, what)

    def _read_copy(self, offset: int, size: int, what: str) -> bytes:
        buffer = bytearray(size)
        self.read_into(offset, memoryview(buffer), what)
        return bytes(buffer)

    def read_upto(self, offset: int, size: int) -> bytes:
        """The bytes from `offset` that the file has, `size` at the most."""
        size = min(size, max(self.size - offset, 0))
        return self.read(offset, size, "data") if size else b""

    def begins_with(self, signature: bytes) -> bool:
        """Whether these are the first bytes of the file."""
        return self.read_upto(0, len(signature)) == signature

    def read_into(self, offset: int, buffer: memoryview, what: str) -> None:
        """Fills `buffer` from `offset`."""
        done, size = 0, len(buffer)
        if self._windows and offset + size <= self.size:
            try:
                self._windows.read_into(offset, buffer)
                return
            except (OSError, ValueError):  # Kernels before 3.11, or a file that only looked like /proc/vmcore.
                self._windows = None
        while done < size:
            try:
                got = os.preadv(self._fd, [buffer[done:] if done else buffer], offset + done)
            except OSError as error:
                raise InputError(
                    f"Can't read the dump memory({self.path}) at {offset + done:#x}. {error.strerror}"
                ) from error
            if not got:
                raise self._truncated(offset, size, what)
            done += got

    def _truncated(self, offset: int, size: int, what: str) -> FormatError:
        return FormatError(
            f"{self.path} is truncated: {what} needs {size} bytes at {offset:#x}, the file has {self.size:#x} bytes."
        )
