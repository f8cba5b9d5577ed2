# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps of Xen hosts of every generation are the original's, byte for byte, with the page states that it knows."""

from pathlib import Path

import pytest

from factory import MIB, Anon, Cache, Free, Ram, Spec, build, place
from factory.xen import ALLOCATED, FOREIGN, HEAP, IDENTITY, INVALID, PageInfo, XenHost, XenSpec
from judges import programs
from judges.programs import Makedumpfile

GUEST = 6 * 512
# States, the broken bit and the owner as of Xen 4, up to June 2022.
SINCE_4 = (
    PageInfo(3 << 55),
    PageInfo(3 << 55 | ALLOCATED, "dom0"),
    PageInfo(2 << 55),
    PageInfo(1 << 55 | ALLOCATED, "dom0"),
    PageInfo(1 << 57 | ALLOCATED, "dom0"),
    PageInfo(HEAP | ALLOCATED, "domU"),
    PageInfo(0),
    PageInfo(1, "domU"),
    PageInfo(ALLOCATED),
    PageInfo(ALLOCATED, "dom0"),
    PageInfo(ALLOCATED, "dom_io"),
    PageInfo(ALLOCATED, "dom_xen"),
    PageInfo(3 << 58),
)
BEFORE_4 = (
    PageInfo(1 << 32),
    PageInfo(1),
    PageInfo(1, "dom0"),
    PageInfo(0, "dom0"),
    PageInfo(1 << 16, "dom0"),
    PageInfo(1, "domU"),
    PageInfo(1, "dom_io"),
)
DOM0 = Spec(
    ram=(Ram(0x1000, 0x9F000), Ram(2 * MIB, 12 * MIB)),
    pages=(
        place(1300, Cache()),
        place(1310, Anon()),
        place(1320, Free(order=3)),
        place(2048, Free(order=9)),
    ),
)


def host(version: tuple[int, int], extra: str = ".1", **changes: object) -> XenHost:
    kinds = SINCE_4 if version >= (4, 0) else BEFORE_4
    # The original reads domid_t with 32 bits.
    known = {"crash_info": 2 if version >= (4, 0) else 1, "after_domid": 0, "pages": dict(enumerate(kinds, GUEST + 5))}
    return XenHost(XenSpec(version=version, extra=extra, **{**known, **changes}))  # type: ignore[arg-type]


def assert_same(ours: Makedumpfile, vmcore: Path, folder: Path, *options: str) -> None:
    reference = programs.found("makedumpfile", "newest")
    programs.output(*reference, *options, str(vmcore), str(folder / "reference"))
    state = ["--xen-page-state", "old"] if "-X" in options else []
    ours.run(*options, *state, str(vmcore), str(folder / "ours"))
    assert (folder / "ours").read_bytes() == (folder / "reference").read_bytes()


@pytest.mark.parametrize("options", ["-X", "-X -d1", "-E -X -d1"])
@pytest.mark.parametrize("version", [(3, 1), (3, 3), (3, 4), (4, 0), (4, 2), (4, 3), (4, 16), (4, 20)])
def test_domains(ours: Makedumpfile, version: tuple[int, int], options: str, tmp_path: Path) -> None:
    xen = host(version, unmapped=frozenset({GUEST + 300}))
    start = ["--xen_phys_start", hex(xen.phys_start)] if version < (4, 0) else []
    assert_same(ours, xen.elf(tmp_path / "vmcore"), tmp_path, *options.split(), *start)


@pytest.mark.parametrize("options", ["-d1", "-d2", "-d8", "-d16", "-d31", "-X -d31", "-E -X -d31"])
def test_domain_0_by_level(ours: Makedumpfile, options: str, tmp_path: Path) -> None:
    p2m = {1321: INVALID, 1322: GUEST + 3 | FOREIGN, 1323: GUEST + 9 | IDENTITY, 1324: 1 << 40}
    xen = host((4, 16), dom0=build(DOM0), dom0_blocks=(20, 9, 15, 11, 30, 8), dom0_note=True, p2m=p2m)
    assert_same(ours, xen.elf(tmp_path / "vmcore"), tmp_path, *options.split())
