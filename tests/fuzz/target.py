# SPDX-License-Identifier: GPL-2.0-or-later
"""What a target is, and how it is fed and held to its limits."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mdf.core.errors import MdfError

SECONDS = 2
MEBIBYTES = 256
LENGTH_MAX = 1 << 16

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
    """A parser: `parse` takes any bytes; `seeds` makes inputs that it reads to the end."""

    name: str
    parse: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]

    def feed(self, data: bytes) -> bool:
        """Whether the input was taken. Only what is raised on purpose may be raised."""
        try:
            self.parse(data)
        except MdfError:
            return False
        return True


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
