# SPDX-License-Identifier: GPL-2.0-or-later
"""Feeds a target by coverage, or all in turn: `python -m fuzz [TARGET] [--runs N] [--seconds N]`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["mdf"], enable_loader_override=False):
    from fuzz.formats import FORMATS
    from fuzz.memory import memory_targets

from fuzz.target import LENGTH_MAX, MEBIBYTES, SECONDS


def main() -> None:
    """Runs until the inputs or the time are used up, or something is found: the input is kept as a file then."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    targets = {target.name: target for target in (*FORMATS, *memory_targets())}
    if options.list:
        print(*targets, sep="\n")
        return
    if options.target is None:  # Each in a process of its own: libFuzzer ends the one that it runs in.
        command = [sys.executable, "-m", "fuzz", "--runs", str(options.runs), "--seconds", str(options.seconds)]
        failed = [name for name in targets if subprocess.run([*command, name], check=False).returncode]
        sys.exit(" ".join(failed))
    target = targets[options.target]
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds()):
            Path(folder, f"seed{number}").write_bytes(seed)
        limits = (f"-timeout={SECONDS}", f"-rss_limit_mb={MEBIBYTES}", f"-max_len={LENGTH_MAX}")
        amount = (f"-runs={options.runs}", f"-max_total_time={options.seconds}")
        atheris.Setup(
            [sys.argv[0], folder, *limits, *amount, "-print_final_stats=1"], lambda data: target.feed(data) and None
        )
        atheris.Fuzz()


main()
