# SPDX-License-Identifier: GPL-2.0-or-later
"""How many processes compress: one for each CPU that this process may use, none if that is a single one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# More of them wait for the one that reads and writes.
WORKERS_MAX = 8


def default_workers() -> int:
    """The number of processes, besides the one that reads and writes, when nobody has said one."""
    cpus = min(len(os.sched_getaffinity(0)), cgroup_cpus(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))
    return 0 if cpus < 2 else min(cpus, WORKERS_MAX)


def cgroup_cpus(membership: Path, hierarchy: Path) -> int:
    """The CPUs, rounded up, that the quotas of a process's control groups (version 2) come to; all CPUs without one.

    `membership` is its /proc/PID/cgroup. Format of cpu.max: Documentation/admin-guide/cgroup-v2.rst.
    """
    cpus = os.cpu_count() or 1
    with suppress(OSError, StopIteration):
        name = next(line[3:] for line in membership.read_text().splitlines() if line.startswith("0::"))
        group = hierarchy / name.strip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(hierarchy):
                break
            with suppress(OSError, ValueError, ZeroDivisionError):
                quota, period = map(int, (folder / "cpu.max").read_text().split())
                cpus = min(cpus, max(-(-quota // period), 1))
    return cpus
