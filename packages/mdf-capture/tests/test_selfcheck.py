# SPDX-License-Identifier: GPL-2.0-or-later
"""A filter that is wrong about a kernel keeps what it can't tell, says so in a line, and never leaves out more."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from captures import DumpFile, dump_of, elf_of
from factory import MIB, Anon, Cache, Free, Hugetlb, Placement, Ram, Slab, Spec, Thp, Vmcore, build, place
from mdf.capture import Options
from mdf.capture.layout import page_layout
from mdf.capture.options import Options as ParsedOptions
from mdf.capture.selfcheck.accounts import Accounts
from mdf.capture.selfcheck.vmstat import VmStat
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Level, Messages
from mdf.core.release import Release

_RAM = (Ram(1 * MIB, 80 * MIB),)


def pages() -> tuple[Placement, ...]:
    """Some of everything, in numbers that mean something."""
    kinds = [
        *((0x1000 + number, Cache(private=number % 4 == 0)) for number in range(2000)),
        *((0x2000 + number, Anon()) for number in range(2000)),
        *((0x3000 + 8 * number, Free(order=3)) for number in range(128)),
        *((0x3800 + number, Slab()) for number in range(300)),
        (0x3A00, Thp(order=9)),
        (0x3C00, Hugetlb(order=9)),
    ]
    return tuple(place(pfn, kind) for pfn, kind in kinds)


@pytest.fixture(scope="module", params=["5.10.0", "6.16.0"])
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Vmcore, Path]:
    built = build(Spec(release=request.param, ram=_RAM, pages=pages()))
    folder = tmp_path_factory.mktemp("selfcheck")
    elf_of(built, folder)
    return built, folder


def filtered(core: Vmcore, folder: Path, level: int, lines: str = "", trust: bool = False) -> tuple[DumpFile, str]:
    """The dump that is made with lines of VMCOREINFO replaced, and what was said."""
    given = folder / "vmcoreinfo"
    keys = tuple(line.partition("=")[0] + "=" for line in lines.split())
    kept = [line for line in core.vmcoreinfo.splitlines() if not line.startswith(keys or ("-",))]
    offset = [line for line in kept if line.startswith("KERNELOFFSET=")]
    text = "\n".join(line for line in (*kept, *lines.split()) if line not in offset)
    given.write_text(text + "\n")
    said = StringIO()
    messages = Messages(Level.COMMON | Level.REPORT, stdout=said)
    options = {"vmcoreinfo": given} if lines else {}
    dump_of(core, folder / "vmcore", folder / "dump", level, messages, trust_filter=trust, **options)
    return DumpFile(folder / "dump"), said.getvalue()


def test_a_kernel_that_is_known_raises_no_doubt(core: tuple[Vmcore, Path]) -> None:
    for level in (0, 2, 4, 8, 16, 31):
        dump, said = filtered(*core, level)
        assert "not excluded" not in said
        assert set(dump.pfns) == set(core[0].ram_pfns) - core[0].excluded(level)


def test_classes_of_which_the_sample_has_no_page_raise_no_doubt(tmp_path: Path) -> None:
    # Of eight chunks of 128 MiB every other one is a sample: the last one is not, and has all slabs and processes.
    cache = (place(0x1000 + number, Cache()) for number in range(2000))
    others = (
        place(7 * 0x8000 + number, kind())
        for kind, first in ((Anon, 0), (Slab, 2000))
        for number in range(first, first + 300)
    )
    machine = build(Spec(release="6.16.0", ram=(*_RAM, Ram(896 * MIB, 976 * MIB)), pages=(*cache, *others)))
    elf_of(machine, tmp_path)
    dump, said = filtered(machine, tmp_path, 31)
    assert "not excluded" not in said
    assert set(dump.pfns) == set(machine.ram_pfns) - machine.excluded(31)


def numbers(core: Vmcore) -> dict[str, int]:
    found = (
        line.partition("=") for line in core.vmcoreinfo.splitlines() if line.startswith(("NUMBER(P", "OFFSET(pag"))
    )
    return {key: int(value) for key, _, value in found}


# What is moved, by how much, the class of pages that is kept, and a level that leaves it out.
MOVED = (
    ("NUMBER(PG_lru)", 1, "cache pages"),
    ("NUMBER(PG_private)", 1, "cache pages"),
    ("NUMBER(PG_head_mask)", 1, "user pages"),
    ("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", 1, "free pages"),
    ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", 1, "offline pages"),
    ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", -1, "offline pages"),
    ("OFFSET(page.flags)", 1, "cache pages"),
    ("OFFSET(page.mapping)", 1, "user pages"),
    ("OFFSET(page.mapping)", 8, "cache pages"),
    ("OFFSET(page._mapcount)", 1, "free pages"),
    ("OFFSET(page.private)", 1, "free pages"),
    ("OFFSET(page.compound_head)", 1, "user pages"),
)
_LEVEL = {"cache pages": 6, "user pages": 8, "free pages": 16, "offline pages": 0}


@pytest.mark.parametrize(("key", "by", "what"), MOVED, ids=lambda value: str(value))
def test_what_a_kernel_has_moved_is_noticed_and_its_pages_stay(
    key: str, by: int, what: str, core: tuple[Vmcore, Path]
) -> None:
    machine, folder = core
    line = f"{key}={numbers(machine)[key] + by}"
    for level in (_LEVEL[what], 31):
        dump, said = filtered(machine, folder, level, line)
        assert f"{what} not excluded: " in said, level
        assert set(dump.pfns) >= set(machine.ram_pfns) - machine.excluded(level), level


def test_trust_filter_leaves_out_what_is_in_doubt(core: tuple[Vmcore, Path]) -> None:
    machine, folder = core
    line = f"NUMBER(PG_private)={numbers(machine)['NUMBER(PG_private)'] + 1}"
    kept, said = filtered(machine, folder, 2, line)
    assert "cache pages not excluded: " in said
    dropped, said = filtered(machine, folder, 2, line, trust=True)
    assert "not excluded" not in said
    assert len(kept.pfns) - len(dropped.pfns) == 2000


def test_the_header_names_the_level_without_what_was_kept(core: tuple[Vmcore, Path]) -> None:
    machine, folder = core
    line = f"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)={numbers(machine)['NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)'] + 1}"
    dump, _ = filtered(machine, folder, 31, line)
    assert dump.sub["dump_level"] == 15


def test_the_report_has_both_numbers(core: tuple[Vmcore, Path]) -> None:
    _, said = filtered(*core, 16)
    assert "Self-check: 1024 free pages found, the kernel's own account has 1024." in said


def test_free_pages_of_another_number_than_the_kernel_counts_are_kept(tmp_path: Path) -> None:
    # Blocks of which the kernel's account knows nothing, beside some that it counts.
    blocks = (place(0x1000 + 16 * number, Free(order=3)) for number in range(8))
    machine = build(Spec(release="6.1.0", ram=_RAM, pages=tuple(blocks)))
    elf_of(machine, tmp_path)
    moved = numbers(machine)["OFFSET(page._mapcount)"] + 4
    dump, said = filtered(machine, tmp_path, 16, f"OFFSET(page._mapcount)={moved}")
    assert "free pages not excluded: " in said or "0 free pages found, the kernel's own account has 64" in said
    assert set(dump.pfns) == set(machine.ram_pfns)


@pytest.mark.parametrize(
    ("found", "account", "apart"),
    [
        (1000, 1000, False),
        (0, 4000, True),
        (100_000, 101_000, False),
        (100_000, 103_000, False),
        (90_000, 103_000, True),
    ],
)
def test_counts_may_differ_by_what_a_processor_had_in_hand(found: int, account: int, apart: bool) -> None:
    info = Vmcoreinfo({"SIZE(page)": "64", "OFFSET(page.flags)": "0", "OFFSET(page.mapping)": "24"})
    layout, stat = page_layout(info, Release(6, 1), "little", 8), VmStat({}, None, None, None, 0)
    held = Accounts(stat, layout, free=account, block=1024, covered=1 << 20, apart=0)
    assert any(held.of_free(found).doubts()) is apart


def test_the_option_is_one_of_the_command_line() -> None:
    assert ParsedOptions.from_argv(["--trust-filter", "-d", "31", "vmcore", "dump"]).trust_filter
    assert not replace(Options(Path("vmcore"))).trust_filter
