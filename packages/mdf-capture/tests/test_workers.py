# SPDX-License-Identifier: GPL-2.0-or-later
"""How many threads compress, and what becomes of an error in one of them."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from captures import elf_of
from factory import MIB, Ram, Spec, build, random_layout
from mdf.capture import Options, capture, workers
from mdf.core.dumps import codecs, open_dump


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
def test_the_default_is_a_thread_for_each_cpu_that_may_be_used(
    allowed: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)))
    monkeypatch.setattr(workers, "cgroup_cpus", lambda *_: 64)
    assert workers.default_workers() == wanted


def test_an_error_in_a_worker_ends_the_run_and_the_dump_says_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vmcore = elf_of(build(random_layout(Spec(ram=(Ram(0, 16 * MIB),)), seed=1)), tmp_path)
    left = iter(range(3))
    real = codecs.Codec.packer

    def failing(codec: codecs.Codec) -> codecs.Packer:
        pack = real(codec)

        def fail_at_last(pages: bytearray, size: int, wanted: Sequence[int]) -> tuple[bytes, list[int]]:
            if next(left, None) is None:
                raise MemoryError
            return pack(pages, size, wanted)

        return fail_at_last

    monkeypatch.setattr(codecs.Codec, "packer", failing)
    before = threading.active_count()
    with pytest.raises(MemoryError):
        capture(Options(vmcore, tmp_path / "dump", compression="zlib", num_threads=3))
    assert threading.active_count() == before
    with open_dump(tmp_path / "dump") as dump:
        assert dump.incomplete
