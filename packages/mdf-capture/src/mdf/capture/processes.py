# SPDX-License-Identifier: GPL-2.0-or-later
"""Batches that other processes encode, which share no interpreter's lock with each other.

A worker is a fork of this process: it has the open dump, the bitmap and an encoder of its own. It takes every n-th
batch, and leaves the result in memory that both share. Over a socket goes a byte for each: from it when a result is
there, to it when the result was used. Whatever a worker dies of, also want of memory, costs nothing but time: what it
has not given is encoded here, where an error is raised as it would have been without workers.
"""

from __future__ import annotations

import gc
import mmap
import os
import socket
from array import array
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import islice
from typing import NoReturn

from mdf.capture.encode import Batch, Encoded, Encoder

_TURN = b"\x00"


def encode_in_processes(
    source: Iterator[Batch], encoder: Encoder, workers: int, capacity: int, warn: Callable[[str], None]
) -> Generator[Encoded]:
    """The batches of `source`, of up to `capacity` pages each, encoded by `workers` processes, in order.

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
        self._shared = _Shared(capacity, encoder.page_size)
        self._line, its_line = socket.socketpair()
        with its_line:
            self._pid = os.fork()
            if not self._pid:
                self._live(share, encoder, its_line)

    def _live(self, share: Iterator[Batch], encoder: Encoder, line: socket.socket) -> NoReturn:
        try:
            gc.disable()  # It would write to all that is shared as long as nobody writes to it.
            self._line.close()
            for number, batch in enumerate(share):
                encoded = encoder.encode(batch)  # While the one before is written.
                if number and not line.recv(1):
                    break
                self._shared.put(encoded)
                line.send(_TURN)
        finally:
            os._exit(0)

    def result(self, batch: Batch) -> Encoded | None:
        """Its next batch, which is this one, encoded; None if it is no more."""
        with suppress(OSError):
            if self._line.recv(1):
                return self._shared.encoded(batch)
        return None

    def result_used(self) -> None:
        """Its memory may be written again."""
        with suppress(OSError):
            self._line.send(_TURN)

    def end(self) -> None:
        """Waits for the end of the process, which may be before the end of its work."""
        with self._line:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)


class _Shared:
    """Memory of two processes for a batch of up to `capacity` pages: sizes, then data."""

    def __init__(self, capacity: int, page_size: int) -> None:
        self._sizes = capacity * array("I").itemsize
        self._memory = memoryview(mmap.mmap(-1, self._sizes + capacity * page_size))

    def put(self, encoded: Encoded) -> None:
        sizes = memoryview(array("I", encoded.sizes)).cast("B")
        at = self._sizes
        self._memory[: len(sizes)] = sizes
        for piece in encoded.data:
            self._memory[at : at + len(piece)] = piece
            at += len(piece)

    def encoded(self, batch: Batch) -> Encoded:
        sizes = self._memory[: self._sizes].cast("I")[: batch.count].tolist()
        return Encoded([self._memory[self._sizes : self._sizes + sum(sizes)]], sizes, batch.runs[-1][1])
