# SPDX-License-Identifier: GPL-2.0-or-later
"""Domain 0's pages by dump level: what an oracle leaves out of its Linux, is left out where it is in the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from captures import DumpFile, counters, pfns_of
from factory import MIB, Anon, Cache, Free, Placement, Ram, Spec, Vmcore, build, place
from factory.xen import BLOCK, FOREIGN, IDENTITY, INVALID, P2M_LEAVES, XenHost, XenSpec
from mdf.capture import Options
from mdf.capture.report import Report
from mdf.core.errors import AddressError, MdfError, MismatchError, MissingInfoError
from mdf.core.messages import Messages
from mdf.split.options import SplitOptions
from mdf.xen.options import XenOptions
from mdf.xen.run import dump_host
from oracle import filter_pages

# Domain 0's memory of 12 MiB is in six blocks, none of them where it believes.
BLOCKS = (20, 9, 15, 11, 30, 8)
RAM = (Ram(0x1000, 0x9F000), Ram(2 * MIB, 12 * MIB))
PAGES: tuple[Placement, ...] = (
    place(1300, Cache()),
    place(1301, Cache()),
    place(1310, Anon()),
    place(1320, Free(order=3)),
    place(2048, Free(order=9)),
    place(2600, Anon()),
)


def linux(**changes: Any) -> Vmcore:
    return build(replace(Spec(ram=RAM, pages=PAGES), **changes))


def host(**changes: Any) -> XenHost:
    known = {"dom0": linux(), "dom0_blocks": BLOCKS, "dom0_note": True}
    return XenHost(XenSpec(**{**known, **changes}))


def dumped(xen: XenHost, folder: Path, level: int, **options: Any) -> tuple[set[int], Report]:
    vmcore = xen.elf(folder / "vmcore")
    drop = options.pop("exclude_user_domains", False)
    asked = Options(vmcore, folder / "dump", force=True, dump_levels=(level,), **options)
    report = dump_host(XenOptions(asked, exclude_user_domains=drop))
    return pfns_of(DumpFile(folder / "dump").bitmap2), report


def left_out(xen: XenHost, folder: Path, level: int) -> tuple[set[int], dict[str, int]]:
    """By the oracle on domain 0's own memory, as it sees it: machine frames, and how many pages of each kind."""
    core = xen.xen.dom0
    assert core
    exists, keeps, counted = filter_pages(core.elf(folder / "linux"), level)
    pseudo = pfns_of(exists) - pfns_of(keeps)
    return {xen.frame(pfn) for pfn in pseudo}, {**counters(counted), "original": 0, "zero": 0}


@pytest.mark.parametrize("level", [1, 2, 8, 16, 31])
@pytest.mark.parametrize("release", ["5.10.0", "6.1.0", "6.12.0"])
def test_what_a_level_leaves_out_is_left_out_where_it_is(release: str, level: int, tmp_path: Path) -> None:
    xen = host(dom0=linux(release=release))
    frames, counted = left_out(xen, tmp_path, level)
    pages, report = dumped(xen, tmp_path, level)
    assert set(xen.ram_pfns) - pages == frames
    assert {**counters(report), "original": 0, "zero": 0} == counted
    assert bool(frames) == (level > 1)


def test_the_kernels_information_may_be_in_a_file(tmp_path: Path) -> None:
    xen = host(dom0_note=False)
    with pytest.raises(MissingInfoError, match="doesn't contain vmcoreinfo"):
        dumped(xen, tmp_path, 31)
    text = tmp_path / "text"
    assert xen.xen.dom0
    text.write_text(xen.xen.dom0.vmcoreinfo)
    pages, _ = dumped(xen, tmp_path, 31, vmcoreinfo=text)
    assert set(xen.ram_pfns) - pages == left_out(xen, tmp_path, 31)[0]
    # One file for both.
    text.write_text(xen.xen.dom0.vmcoreinfo + xen.vmcoreinfo_xen)
    both, _ = dumped(replaced_note(xen), tmp_path, 31, vmcoreinfo=text, exclude_user_domains=True)
    assert both <= pages


def replaced_note(xen: XenHost) -> XenHost:
    return XenHost(replace(xen.xen, notes=False))


def test_domains_and_levels_together(tmp_path: Path) -> None:
    xen = host()
    pages, report = dumped(xen, tmp_path, 31, exclude_user_domains=True)
    guests = {pfn for pfn in xen.ram_pfns if xen.page_info(pfn).owner == "domU"}
    assert set(xen.ram_pfns) - pages == left_out(xen, tmp_path, 31)[0] | guests
    assert dict(report.further)["Xen user domain pages"] == len(guests)


def test_entries_that_are_no_page_of_its_own(tmp_path: Path) -> None:
    """Invalid ones are nowhere; of foreign and identity ones the frame counts, as the original has it."""
    guest = 6 * BLOCK
    p2m = {1321: INVALID, 1322: guest + 3 | FOREIGN, 1323: guest + 9 | IDENTITY, 1324: 1 << 40}
    xen = host(p2m=p2m)
    pages, _ = dumped(xen, tmp_path, 16)
    gone = set(xen.ram_pfns) - pages
    assert {guest + 3, guest + 9} <= gone
    assert not {xen.frame(pfn) for pfn in p2m} & gone
    assert {xen.frame(pfn) for pfn in (1320, 1325, 1326, 1327)} <= gone


@pytest.mark.parametrize("level", [0, 1])
def test_low_levels_do_not_need_domain_0(level: int, tmp_path: Path) -> None:
    xen = host(crash_info=0)  # It does not say where domain 0 is.
    pages, _ = dumped(xen, tmp_path, level)
    assert pages == set(xen.ram_pfns)
    with pytest.raises(MissingInfoError, match="pfn_to_mfn_frame_list_list"):
        dumped(xen, tmp_path, 31)


@pytest.mark.parametrize("level", [1, 31])
def test_filtering_a_compressed_dump_again(level: int, tmp_path: Path) -> None:
    xen = host()
    first, again, direct = (tmp_path / name for name in ("first", "again", "direct"))
    vmcore = xen.elf(tmp_path / "vmcore")
    dump_host(XenOptions(Options(vmcore, first, dump_levels=(1,), compression="zlib")))
    dump_host(XenOptions(Options(first, again, dump_levels=(31,)), exclude_user_domains=True))
    dump_host(XenOptions(Options(vmcore, direct, dump_levels=(31,)), exclude_user_domains=True))
    assert again.read_bytes() == direct.read_bytes()


def test_a_split_dump_has_the_same_pages(tmp_path: Path) -> None:
    xen = host()
    pages, _ = dumped(xen, tmp_path, 31, exclude_user_domains=True)
    files = (tmp_path / "one", tmp_path / "two")
    asked = Options(tmp_path / "vmcore", dump_levels=(31,))
    dump_host(XenOptions(asked, exclude_user_domains=True, split=SplitOptions(asked, files, 2048)))
    for file in files:
        assert pfns_of(DumpFile(file).bitmap2) == pages


# Bad input.


def test_information_of_another_kernel(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text(linux().vmcoreinfo.replace("OSRELEASE=6.1.0", "OSRELEASE=6.2.0"))
    with pytest.raises(MismatchError, match="don't match"):
        dumped(host(dom0_note=False), tmp_path, 31, vmcoreinfo=text)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_page_frame_list_that_is_not_in_memory(depth: int, tmp_path: Path) -> None:
    xen = host()
    nowhere, top = 1 << 30, xen.frame_list_list * 4096
    if depth == 0:
        xen.frame_list_list = nowhere
    elif depth == 1:
        xen.memory.write_integer(top, nowhere, 8)
    else:
        xen.memory.write_integer(int.from_bytes(xen.memory.read(top, 8), "little") * 4096, nowhere, 8)
    with pytest.raises(AddressError, match="Can't read dom0's page frame list at page 0x40000000"):
        dumped(xen, tmp_path, 31)


def test_page_tables_that_lead_nowhere(tmp_path: Path) -> None:
    xen = host(p2m=dict.fromkeys(range(6 * BLOCK), INVALID))
    with pytest.raises(MdfError, match="Can't read the kernel's name"):
        dumped(xen, tmp_path, 31)


def test_messages_say_how_many_pages_domain_0_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vmcore = host().elf(tmp_path / "vmcore")
    dump_host(XenOptions(Options(vmcore, tmp_path / "dump", dump_levels=(31,))), Messages(8))
    assert f"domain-0 pfn : {P2M_LEAVES * BLOCK:x}" in capsys.readouterr().out
