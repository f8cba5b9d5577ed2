# SPDX-License-Identifier: GPL-2.0-or-later
"""--check-dump on dumps of real vmcores: sound as they are, and a note that was changed differs from memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus import corpus_items, vmcore
from mdf.capture import Options, capture
from mdf.capture.check import State, check_dump

ITEMS = tuple(item for item in corpus_items() if not item.startswith("xen"))


@pytest.mark.parametrize("level", [1, 31])
@pytest.mark.parametrize("item", ITEMS)
def test_a_dump_of_a_real_vmcore_is_sound(item: str, level: int, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    capture(Options(vmcore(item), dump, dump_levels=(level,), compression="zlib"))
    verdict = check_dump([dump])
    assert verdict.state is State.SOUND, verdict.line
    assert not verdict.details()


@pytest.mark.parametrize("item", ITEMS)
def test_a_real_vmcore_is_sound(item: str) -> None:
    assert check_dump([vmcore(item)]).state is State.SOUND


def test_a_changed_vmcoreinfo_is_found(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    capture(Options(vmcore(next(item for item in ITEMS if "6.1-kdump" in item)), dump, dump_levels=(31,)))
    data = bytearray(dump.read_bytes())
    at = data.index(b"SIZE(list_head)=16")
    data[at + 16] ^= 1
    dump.write_bytes(data)
    assert "differs from the kernel's own in memory" in check_dump([dump]).line
