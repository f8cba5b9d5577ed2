# SPDX-License-Identifier: GPL-2.0-or-later
"""Feeds a target by coverage, or all in turn: `python -m fuzz [TARGET] [--runs N] [--seconds N] [--input FILE]`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["mdf"], enable_loader_override=False):
    from fuzz.targets import TARGETS

from fuzz.target import MEBIBYTES, SECONDS, Feeder, Target

# Of libFuzzer itself, for what never comes back to the feeder, which is exact: seconds are those of a busy machine.
_HANG, _PROCESS = 10 * SECONDS, 512 + MEBIBYTES
_DONE = re.compile(r"^#(\d+)\s+DONE\s+cov: (\d+) ft: (\d+)", re.MULTILINE)
_ROW = "{:<24} {:>9} {:>9} {:>8} {:>8} {:>9}"


def main() -> None:
    """Runs until the inputs or the time are used up, or something is found: the input is kept as a file then."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=TARGETS, metavar="TARGET")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--input", type=Path, help="feed only this")
    parser.add_argument("--list", action="store_true", help="the names of the targets")
    options = parser.parse_args()
    if options.list:
        print(*TARGETS, sep="\n")
    elif options.input:
        Feeder(TARGETS[options.target]).feed(options.input.read_bytes())
    elif options.target:
        _fuzz(TARGETS[options.target], options.runs, options.seconds)
    else:
        sys.exit(_all(options.runs, options.seconds))


def _fuzz(target: Target, runs: int, seconds: int) -> None:
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            Path(folder, f"seed{number}").write_bytes(seed)
        limits = (f"-timeout={_HANG}", f"-rss_limit_mb={_PROCESS}", f"-max_len={target.length}", "-len_control=0")
        feeder = Feeder(target)
        atheris.Setup(
            [sys.argv[0], folder, *limits, f"-runs={runs}", f"-max_total_time={seconds}"],
            lambda data: feeder.feed(data),
        )
        atheris.Fuzz()


def _all(runs: int, seconds: int) -> str:
    """Feeds each target in a process of its own, as libFuzzer ends it; returns the names of those that failed."""
    failed = []
    print(_ROW.format("target", "inputs", "seconds", "branches", "features", ""))
    for name in TARGETS:
        start = time.monotonic()
        command = [sys.executable, "-m", "fuzz", name, "--runs", str(runs), "--seconds", str(seconds)]
        result = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        done = _DONE.search(result.stdout)
        if result.returncode or not done:
            failed.append(name)
            print(result.stdout, file=sys.stderr)
        counts = done.groups() if done else ("", "", "")
        spent = f"{time.monotonic() - start:.0f}"
        print(_ROW.format(name, counts[0], spent, *counts[1:], "" if done else "FAILED"), flush=True)
    return " ".join(failed)


if __name__ == "__main__":
    main()
