# SPDX-License-Identifier: GPL-2.0-or-later
"""What is timed: each case with both programs, in turn."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Usage, measure


@dataclass(frozen=True)
class Case:
    """One way to call makedumpfile: on the vmcore, on a dump made with the options `of`, or without any input.

    With `is_stream` that dump is a flattened stream, and comes on standard input. Ours compresses with so many
    `processes` (0: in the one that reads and writes, as the original; None: it does not compress). `codec` is what the
    original must have been built with. If `copied`, cp of the vmcore takes the original's place: the limit.
    """

    name: str
    options: tuple[str, ...]
    of: tuple[str, ...] = ()
    has_input: bool = True
    is_stream: bool = False
    processes: int | None = 0
    codec: str = ""
    copied: bool = False


CASES = (
    Case("-d 31", ("-d", "31")),
    Case("-d 0, cp", ("-d", "0"), copied=True),
    Case("-d 0", ("-d", "0")),
    Case("-c -d 31", ("-c", "-d", "31")),
    Case("-c -d 31, 2 processes", ("-c", "-d", "31"), processes=2),
    Case("-c -d 1", ("-c", "-d", "1")),
    Case("-c -d 1, 2 processes", ("-c", "-d", "1"), processes=2),
    Case("-l -d 1", ("-l", "-d", "1"), codec="lzo"),
    Case("-l -d 1, 2 processes", ("-l", "-d", "1"), processes=2, codec="lzo"),
    Case("-p -d 1", ("-p", "-d", "1"), codec="snappy"),
    Case("-z -d 1", ("-z", "-d", "1"), codec="zstd"),
    Case("-z -d 1, 2 processes", ("-z", "-d", "1"), processes=2, codec="zstd"),
    Case("-E -d 31", ("-E", "-d", "31")),
    Case("refilter", ("-c", "-d", "31"), of=("-c", "-d", "1")),
    Case("rearrange", ("-R",), of=("-F", "-c", "-d", "1"), is_stream=True, processes=None),
    Case("start-up", ("-v",), has_input=False, processes=None),
)
CP, OURS = "cp", "ours"


@dataclass(frozen=True)
class Program:
    """A makedumpfile."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, case: Case, source: Path | None, target: Path) -> Usage:
        """What it needs to write the dump `target` of `source`, which is removed, or to run without any."""
        words = (*self.command, *(() if self.name == CP else case.options))
        if self.name == OURS and case.processes is not None:
            words += ("--num-threads", str(case.processes))
        if source is None:
            return measure(words, None, self.environment)
        if case.is_stream:
            return measure((*words, str(target)), target, self.environment, source)
        return measure((*words, str(source), str(target)), target, self.environment)


@dataclass(frozen=True)
class Pair:
    """A run of each program, one right after the other."""

    ours: Usage
    reference: Usage


@dataclass(frozen=True)
class Result:
    """All pairs of a case."""

    case: str
    pairs: tuple[Pair, ...]


def time_case(case: Case, ours: Program, reference: Program, source: Path | None, target: Path, pairs: int) -> Result:
    """Time the case. Each goes first in every other pair; a pair before them fills the caches and isn't counted."""
    if case.copied:
        reference = Program(CP, (CP,), reference.environment)

    def pair(is_ours_first: bool) -> Pair:
        order = (ours, reference) if is_ours_first else (reference, ours)
        first, second = (program.run(case, source, target) for program in order)
        return Pair(first, second) if is_ours_first else Pair(second, first)

    pair(is_ours_first=True)
    return Result(case.name, tuple(pair(is_ours_first=number % 2 == 1) for number in range(pairs)))
