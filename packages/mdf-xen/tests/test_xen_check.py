# SPDX-License-Identifier: GPL-2.0-or-later
"""--check-dump on dumps of Xen hosts: whole, with what it did not check in the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from factory import MIB, Ram, Spec, build
from factory.xen import XenHost, XenSpec
from mdf.capture import Options
from mdf.capture.check import State, check_dump
from mdf.xen.options import XenOptions
from mdf.xen.run import dump_host


@pytest.mark.parametrize("level", [0, 31])
def test_a_dump_of_a_host_is_sound_but_its_bitmaps_are_not_checked(level: int, tmp_path: Path) -> None:
    linux = build(Spec(ram=(Ram(0x1000, 0x9F000), Ram(2 * MIB, 6 * MIB))))
    vmcore = XenHost(XenSpec(dom0=linux, dom0_blocks=(20, 9, 15), dom0_note=True)).elf(tmp_path / "vmcore")
    dump = tmp_path / "dump"
    dump_host(XenOptions(Options(vmcore, dump, dump_levels=(level,), compression="zlib")))
    verdict = check_dump([dump])
    assert verdict.state is State.SOUND
    assert {"the kernel's name in memory", "the bitmaps by page structures"} <= {what for what, _ in verdict.unchecked}
    data = bytearray(dump.read_bytes())
    data[-100] ^= 4
    dump.write_bytes(data)
    assert check_dump([dump]).state is State.DAMAGED
