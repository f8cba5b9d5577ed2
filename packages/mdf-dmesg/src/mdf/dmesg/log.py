# SPDX-License-Identifier: GPL-2.0-or-later
"""The log of a kernel, whichever of the three forms it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mdf.core.kernel import Kernel
from mdf.core.release import Release
from mdf.dmesg.lockless import LocklessRing
from mdf.dmesg.plain import PlainRing
from mdf.dmesg.record import Damage, Record
from mdf.dmesg.structured import StructuredLog

_STRUCTURED_SINCE = Release(3, 5)


class Ring(Protocol):
    """A form of the log. `is_partial` is whether only what came since the log was cleared is taken."""

    @property
    def is_partial(self) -> bool: ...

    def records(self, damage: Damage) -> Iterator[Record]:
        """The sound records, oldest first; what is not sound goes to `damage`."""
        ...


class Log:
    """A kernel's log: iterate for its sound records; `damage` then says what was not sound.

    `is_partial` is whether only what came since the log was last cleared is taken: not every kernel says when.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.damage = Damage()

    @property
    def is_partial(self) -> bool:
        """Whether records from before the log was last cleared are left out."""
        return self._ring.is_partial

    def __iter__(self) -> Iterator[Record]:
        self.damage = Damage()
        return self._ring.records(self.damage)


def read_log(kernel: Kernel, *, partial: bool = False) -> Log:
    """The log of a kernel; with `partial` only what came since it was last cleared.

    Raises MissingInfoError if the kernel does not say where it is or what it looks like, AddressError if its head is
    not in the dump, FormatError for impossible sizes.
    """
    if kernel.info.symbol("prb") is not None:
        return Log(LocklessRing(kernel, partial=partial))
    if kernel.release >= _STRUCTURED_SINCE:
        return Log(StructuredLog(kernel, partial=partial))
    return Log(PlainRing(kernel))
