# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that is read through a window of it in the address space.

For /proc/vmcore only: there, each page of a read() is mapped into the kernel and unmapped again, while a window costs
one system call for 4 MiB. Files on a disk are read at least as fast without, and an error of the disk stays an error
then, instead of a signal.
"""

from __future__ import annotations

import mmap
import os
import stat

WINDOW = 4 << 20


def worth_mapping(fd: int) -> bool:
    """Whether this is a file without any block on a disk, as those in /proc are."""
    status = os.fstat(fd)
    return stat.S_ISREG(status.st_mode) and status.st_size > 0 and status.st_blocks == 0


class Windows:
    """The file `fd` of `size` bytes; at any time one window of it is mapped."""

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._size = size
        self._window: tuple[int, mmap.mmap] | None = None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fills `buffer` from `offset`. Raises OSError or ValueError if the file can't be mapped there."""
        done, size = 0, len(buffer)
        while done < size:
            start, window = self._at(offset + done)
            first = offset + done - start
            length = min(len(window) - first, size - done)
            with memoryview(window) as view:
                buffer[done : done + length] = view[first : first + length]
            done += length

    def _at(self, offset: int) -> tuple[int, mmap.mmap]:
        start = offset - offset % WINDOW
        current = self._window  # Several threads may read: each uses the window that it has seen.
        if current is None or current[0] != start:
            length = min(WINDOW, self._size - start)
            current = self._window = start, mmap.mmap(self._fd, length, prot=mmap.PROT_READ, offset=start)
        return current
