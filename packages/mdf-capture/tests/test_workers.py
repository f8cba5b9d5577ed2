# SPDX-License-Identifier: GPL-2.0-or-later
"""How many processes compress."""

import os
from pathlib import Path

import pytest

from mdf.capture import workers


@pytest.mark.parametrize(
    ("quotas", "cpus"),
    [
        ({}, 64),
        ({"a/b": "max 100000"}, 64),
        ({"a/b": "150000 100000"}, 2),
        ({"a/b": "400000 100000", "a": "100000 100000"}, 1),
        ({"a/b": "1 100000"}, 1),
        ({"a/b": "100000 0"}, 64),
        ({"a/b": "nonsense"}, 64),
        ({"other": "100000 100000"}, 64),
    ],
)
def test_the_tightest_quota_of_the_control_groups_counts(
    quotas: dict[str, str], cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    membership = tmp_path / "cgroup"
    membership.write_text("1:cpu:/old\n0::/a/b\n")
    for group, quota in quotas.items():
        folder = tmp_path / "hierarchy" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(f"{quota}\n")
    assert workers.cgroup_cpus(membership, tmp_path / "hierarchy") == cpus
    assert workers.cgroup_cpus(tmp_path / "none", tmp_path / "hierarchy") == 64


@pytest.mark.parametrize(("allowed", "wanted"), [(1, 0), (2, 2), (4, 4), (64, 8)])
def test_the_default_is_a_process_for_each_cpu_that_may_be_used(
    allowed: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)))
    monkeypatch.setattr(workers, "cgroup_cpus", lambda *_: 64)
    assert workers.default_workers() == wanted
