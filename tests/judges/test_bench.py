# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench measures programs as they are: here the original against itself."""

import json
import subprocess
import sys
from pathlib import Path

from judges import programs

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_the_peak_memory_of_a_small_program_is_its_own_and_not_the_benches() -> None:
    (original,) = programs.found("makedumpfile", "installed")
    result = bench("--case=start-up", "--pairs=3", "--format=json", f"--ours={original}")
    assert result.returncode == 0, result.stderr
    (case,) = json.loads(result.stdout)
    peaks = [pair[which]["memory"] for pair in case["pairs"] for which in ("ours", "reference")]
    assert len(peaks) == 6
    assert all(MIB < peak < 6 * MIB for peak in peaks)


def test_a_program_that_fails_ends_the_bench_with_its_own_words() -> None:
    programs.found("makedumpfile", "installed")
    result = bench("--case=start-up", "--ours=sh -c 'echo broken >&2; exit 3'")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].endswith("broken")
    assert result.stdout == ""
