# SPDX-License-Identifier: GPL-2.0-or-later
"""What a target is, and how it is fed and held to its limits."""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mdf.core.errors import MdfError

SECONDS = 2
MEBIBYTES = 256

_INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00" * 4,
    b"\xff" * 4,
    b"\xff" * 8,
    b"\x00" * 8,
    b"\x01\x00\x00\x00",
)


@dataclass(frozen=True)
class Target:
    """A parser: `parse` takes any bytes, up to `length`; `seeds` makes inputs that it reads to the end."""

    name: str
    parse: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    length: int = 1 << 16


class LimitError(AssertionError):
    """An input needs more than it may."""


class Feeder:
    """Feeds a target, in a process that is as large as it is now. `taken` counts inputs that were read to the end."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._size = _largest()
        self.taken = 0
        self.slowest = 0.0

    def feed(self, data: bytes) -> None:
        """Only what is raised on purpose may be raised. Raises LimitError for too much time (of the CPU) or memory."""
        start = time.process_time()
        try:
            self._target.parse(data[: self._target.length])
            self.taken += 1
        except MdfError:
            pass
        seconds = time.process_time() - start
        self.slowest = max(self.slowest, seconds)
        if seconds > SECONDS:
            raise LimitError(f"{seconds:.1f} seconds")
        if self.mebibytes > MEBIBYTES:
            raise LimitError(f"{self.mebibytes} MiB")

    @property
    def mebibytes(self) -> int:
        """How much larger the process has been than it was."""
        return (_largest() - self._size) >> 10


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def as_file(data: bytes) -> Iterator[Path]:
    """The bytes as a file that is in memory only."""
    descriptor = os.memfd_create("input")
    try:
        os.write(descriptor, data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def mutations(seeds: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Inputs made of the seeds: bytes flipped, replaced, removed, doubled, and tails cut."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(5):
                case 0 if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    value = chance.choice(_INTERESTING)
                    data[at : at + len(value)] = value
                case 2:
                    del data[at : at + chance.randrange(1, 16)]
                case 3:
                    data[at:at] = data[at : at + chance.randrange(1, 64)]
                case 4 if chance.random() < 0.1:
                    del data[at:]
        yield bytes(data)
