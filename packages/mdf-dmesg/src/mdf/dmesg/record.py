# SPDX-License-Identifier: GPL-2.0-or-later
"""One record of a kernel's log, and what is said of those that are not sound."""

from __future__ import annotations

from dataclasses import dataclass, field

_CALLER_IS_CPU = 1 << 31


@dataclass(frozen=True)
class Record:
    """A record: `text` without the final newline, `ts_nsec` in nanoseconds since boot.

    `caller_id` is a thread's number, or, with bit 31 set, a processor's; None where the kernel has none. A line of the
    plain ring has neither, but its level and time, if any, in the text.
    """

    text: bytes
    ts_nsec: int | None = None
    caller_id: int | None = None

    @property
    def caller(self) -> str | None:
        """`T` and the thread's number, or `C` and the processor's."""
        if self.caller_id is None:
            return None
        letter = "C" if self.caller_id & _CALLER_IS_CPU else "T"
        return f"{letter}{self.caller_id & ~_CALLER_IS_CPU}"


@dataclass
class Damage:
    """What of a log is not sound: `count` findings, the first of them as `lines`."""

    count: int = 0
    lines: list[str] = field(default_factory=list)

    SHOWN = 8

    def add(self, line: str) -> None:
        """Adds a finding."""
        self.count += 1
        if self.count <= self.SHOWN:
            self.lines.append(line)
