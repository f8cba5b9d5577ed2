# SPDX-License-Identifier: GPL-2.0-or-later
"""Batches that other processes encode, which share no interpreter's lock with each other.

A worker is a fork of this process: it has the open dump, the bitmap and an encoder of its own. It takes every n-th
batch, and leaves the results in memory that both share, in turn in one of two rooms. Over a socket goes a byte for
each: from it when a result is there, to it when the result was used. Whatever a worker dies of, also want of memory,
costs nothing but time: what it has not given is encoded here, where an error is raised as it would have been without
workers.
"""

from __future__ import annotations

import gc
import mmap
import os
import socket
from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import cycle, islice
from typing import NoReturn

from mdf.capture.encode import Batch, Encoded, Encoder
from mdf.core.dumps.codecs.packing import room_for

_TURN = b"\x00"
_ROOMS = 2  # One is written to while the other is read.
_SIZE = array("I").itemsize


def encode_in_processes(
    source: Iterator[Batch], encoder: Encoder, workers: int, capacity: int, warn: Callable[[str], None]
) -> Generator[Encoded]:
    """The batches of `source`, of up to `capacity` pages each, compressed by `workers` processes, in order.

    `warn` is told once if there are fewer processes than that. The data is good until the next batch is asked for.
    """
    pool: list[Worker | None] = []
    warned = False
    try:
        pool.extend(_worker(islice(source, share, None, workers), encoder, capacity) for share in range(workers))
        for number, batch in enumerate(source):
            worker = pool[number % workers]
            if worker and (result := worker.result(batch)):
                yield result
                worker.result_used()
                continue
            if not warned:
                warn("A process that compresses is missing; this one does its part.")
                warned = True
            yield encoder.encode(batch)
    finally:
        for worker in filter(None, pool):
            worker.end()


def _worker(share: Iterator[Batch], encoder: Encoder, capacity: int) -> Worker | None:
    with suppress(OSError):
        return Worker(share, encoder, capacity)
    return None


class Worker:
    """A process that encodes the batches of `share`. Raises OSError if there is none to be had."""

    def __init__(self, share: Iterator[Batch], encoder: Encoder, capacity: int) -> None:
        self._rooms = cycle([_Room(capacity, encoder.page_size) for _ in range(_ROOMS)])
        self._line, its_line = socket.socketpair()
        with its_line:
            self._pid = os.fork()
            if not self._pid:
                self._live(share, encoder, its_line)

    def _live(self, share: Iterator[Batch], encoder: Encoder, line: socket.socket) -> NoReturn:
        try:
            gc.disable()  # It would write to all that is shared as long as nobody writes to it.
            self._line.close()
            for number, (batch, room) in enumerate(zip(share, self._rooms, strict=False)):
                if number >= _ROOMS and not line.recv(1):
                    break
                room.encode(encoder, batch)
                line.send(_TURN)
        finally:
            os._exit(0)

    def result(self, batch: Batch) -> Encoded | None:
        """Its next batch, which is this one, encoded; None if it is no more."""
        with suppress(OSError):
            if self._line.recv(1):
                return next(self._rooms).encoded(batch)
        return None

    def result_used(self) -> None:
        """Its room may be written again."""
        with suppress(OSError):
            self._line.send(_TURN)

    def end(self) -> None:
        """Waits for the end of the process, which may be before the end of its work."""
        with self._line:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


class _Room:
    """Memory of two processes for a batch of up to `capacity` pages: sizes, then data."""

    def __init__(self, capacity: int, page_size: int) -> None:
        at = capacity * _SIZE
        memory = memoryview(mmap.mmap(-1, at + room_for(capacity, page_size)))
        self._sizes, self._data = memory[:at].cast("I"), memory[at:]

    def encode(self, encoder: Encoder, batch: Batch) -> None:
        sizes = encoder.encode(batch, self._data).sizes
        self._sizes[: len(sizes)] = array("I", sizes)

    def encoded(self, batch: Batch) -> Encoded:
        sizes = self._sizes[: batch.count].tolist()
        return Encoded([self._data[: sum(sizes)]], sizes, batch.runs[-1][1])
