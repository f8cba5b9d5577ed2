# SPDX-License-Identifier: GPL-2.0-or-later
"""What one run of a program needs.

Linux counts into a process's peak memory that of the process it was started from, before it became the program. So a
small shell prepares the program and ends; the bench, as "subreaper", inherits the program, lets it start, and gets its
figures.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
PREPARE = ("/bin/sh", "-c", 'exec 3<&0; { read -r start <&3; exec "$@" <"$0" >/dev/null 3<&-; } & echo $!')


@dataclass(frozen=True)
class Usage:
    """What a run needed, in seconds and bytes."""

    cpu: float
    wall: float
    memory: int
    output: int


class FailedRunError(Exception):
    """A program that was to be timed failed."""


def measure(
    command: Sequence[str],
    output: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: Path = Path(os.devnull),
) -> Usage:
    """Run the command, and remove the `output` that it writes."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with subprocess.Popen(
        [*PREPARE, str(stdin), *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stderr is not None
        program = int(shell.stdout.readline())
        shell.wait()
        try:
            start = time.perf_counter()
            shell.stdin.write("start\n")
            shell.stdin.flush()
            errors = shell.stderr.read()
            _, status, usage = os.wait4(program, 0)
            wall = time.perf_counter() - start
        except BaseException:
            os.kill(program, signal.SIGKILL)
            raise
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise FailedRunError(f"{' '.join(command)} ended with {code}: {errors.strip()[-500:]}")
    size = 0
    if output:
        size = output.stat().st_size
        output.unlink()
    return Usage(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024, size)
