# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a dump takes in the capture kernel: ours and the reference's in turn, in one crash.

python -m guests.kdump.timing 6.1 [--instructions] [--memory 2048] [--rounds 8] [--cpus 2] [--options="-d 31"]

With --instructions the guest's clock runs by the instructions that are executed, one in a nanosecond: whatever else the
host does, and however well it translates which code, the numbers are the same.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from guests.kdump.crash import Crash
from guests.kdump.kernels import KERNELS

PROGRAMS = {"ours": "makedumpfile", "reference": "reference"}
_BY_INSTRUCTIONS = ("-smp", "1", "-icount", "shift=0,sleep=off")
_LINE = re.compile(r"^(real|user|sys) +([\d.]+)$", re.MULTILINE)


def script(rounds: int, options: str) -> str:
    """The steps of the capture kernel; each program is the first one in half of the rounds."""
    lines = []
    for number in range(rounds):
        for name in sorted(PROGRAMS, reverse=number % 2 == 1):
            lines.append(f"step {name}-{number} time -p {PROGRAMS[name]} {options} /proc/vmcore dump")
            lines.append(f"ls -l dump >>{name}-{number}.out; rm dump; sync")
    return "\n".join([*lines, ""])


def times(folder: Path, name: str, rounds: int) -> list[dict[str, float]]:
    """Seconds of each round of a program: real, user, sys, and `cpu`, the sum of the last two."""
    found = []
    for number in range(rounds):
        seconds = {key: float(value) for key, value in _LINE.findall((folder / f"{name}-{number}.out").read_text())}
        found.append(seconds | {"cpu": seconds["user"] + seconds["sys"]})
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Prints each round, medians, and the ratio of ours to the reference's. Raises GuestError."""
    parser = argparse.ArgumentParser("python -m guests.kdump.timing")
    parser.add_argument("kernel", choices=KERNELS)
    parser.add_argument("--memory", type=int, default=2048, help="MiB")
    parser.add_argument("--instructions", action="store_true", help="count them; one CPU only")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--cpus", type=int, default=1, help="of the capture kernel")
    parser.add_argument("--options", default="-c -d 31", help="of makedumpfile")
    chosen = parser.parse_args(argv)
    machine = ("-m", str(chosen.memory), *(_BY_INSTRUCTIONS if chosen.instructions else ()))
    steps = script(chosen.rounds, chosen.options)
    crash = Crash(chosen.kernel, steps, machine=machine, append=f"capture_cpus={chosen.cpus}")
    captured = crash.run("timing")
    if failed := [name for name, step in captured.steps.items() if step.status]:
        print(*failed, "failed; the console tells more", file=sys.stderr)
        return 1
    found = {name: times(captured.folder, name, chosen.rounds) for name in PROGRAMS}
    for field in ("real", "cpu"):
        medians = []
        for name, rounds in found.items():
            values = [seconds[field] for seconds in rounds]
            medians.append(statistics.median(values))
            print(f"{field} {name:>9}", *(f"{value:6.2f}" for value in values), f" median {medians[-1]:.2f}")
        print(f"{field}     ratio {medians[0] / medians[1]:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
