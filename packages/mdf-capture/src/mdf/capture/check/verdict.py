# SPDX-License-Identifier: GPL-2.0-or-later
"""What a check found, and what it comes to."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SHOWN_MAX = 20  # Damage that hits every page need not be told for every page.


class State(enum.StrEnum):
    """The verdict in one word."""

    SOUND = enum.auto()
    INCOMPLETE = enum.auto()
    DAMAGED = enum.auto()


@dataclass
class Findings:
    """Collects what is wrong with a dump.

    `damage` can't be in a sound dump, `missing` is what an incomplete one lacks, `unchecked` what could not be checked
    (what, and why), `remarks` say what is odd. Of the many lines of damage only the first are kept; `count` is of all.
    """

    damage: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unchecked: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    count: int = 0

    def damaged(self, line: str) -> None:
        """Adds a line of damage."""
        self.count += 1
        if len(self.damage) < _SHOWN_MAX:
            self.damage.append(line)

    def expect(self, condition: bool, line: str) -> None:
        """Adds a line of damage unless a condition holds."""
        if not condition:
            self.damaged(line)


@dataclass(frozen=True)
class Verdict:
    """The result of a check. `pages` is how many pages were read; `files` are in the order given."""

    files: tuple[Path, ...]
    kind: str
    pages: int
    damage_count: int
    damage: tuple[str, ...]
    missing: tuple[str, ...]
    unchecked: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, files: tuple[Path, ...], kind: str, pages: int, findings: Findings) -> Verdict:
        """The verdict that findings come to."""
        damage, missing, remarks = map(tuple[str, ...], (findings.damage, findings.missing, findings.remarks))
        return cls(files, kind, pages, findings.count, damage, missing, tuple(findings.unchecked), remarks)

    @property
    def state(self) -> State:
        """Damage weighs more than what is missing."""
        if self.damage_count:
            return State.DAMAGED
        return State.INCOMPLETE if self.missing else State.SOUND

    @property
    def exit_status(self) -> int:
        """0 for a sound dump."""
        return int(self.state is not State.SOUND)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        name = ", ".join(map(str, self.files))
        if self.state is State.DAMAGED:
            more = f" (and {self.damage_count - 1} more)" if self.damage_count > 1 else ""
            return f"{name}: damaged: {self.damage[0]}{more}"
        if self.state is State.INCOMPLETE:
            return f"{name}: incomplete: {self.missing[0]}"
        unchecked = ", ".join(what for what, _ in self.unchecked)
        return f"{name}: sound: {self.kind}, {self.pages} pages read{unchecked and f'; not checked: {unchecked}'}"

    def details(self) -> tuple[str, ...]:
        """The lines behind the verdict, without the one that it names."""
        damage, missing = self.damage, self.missing
        if self.state is State.DAMAGED:
            damage = damage[1:]
        elif self.state is State.INCOMPLETE:
            missing = missing[1:]
        return damage + missing + tuple(f"not checked: {what}: {why}" for what, why in self.unchecked) + self.remarks

    def as_json(self) -> str:
        """The verdict for programs: one object."""
        values: dict[str, Any] = {
            "state": self.state,
            "files": list(map(str, self.files)),
            "kind": self.kind,
            "pages": self.pages,
            "damage_count": self.damage_count,
            "damage": self.damage,
            "missing": self.missing,
            "unchecked": [{"what": what, "why": why} for what, why in self.unchecked],
            "remarks": self.remarks,
        }
        return json.dumps(values, indent=2)
