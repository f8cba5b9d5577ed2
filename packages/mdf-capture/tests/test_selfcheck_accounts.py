# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages that a kernel counts otherwise than they were found are kept, and so are those its own types contradict."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import StringIO

import pytest

from factory import (
    MIB,
    Anon,
    Cache,
    Free,
    Hugetlb,
    Hwpoison,
    Offline,
    Placement,
    Ram,
    Slab,
    Spec,
    SwapCache,
    Thp,
    Vmcore,
    build,
    place,
)
from factory.accounts import put_accounts
from mdf.capture import Options
from mdf.capture.selection import select
from mdf.capture.survey import survey
from mdf.core.dumps import open_dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Level, Messages

_RAM = (Ram(1 * MIB, 80 * MIB),)
RELEASES = ("6.1.0", "6.12.0", "7.1.0")


def pages() -> tuple[Placement, ...]:
    """Some of everything, in numbers that mean something."""
    kinds = [
        *((0x1000 + number, Cache(private=number % 4 == 0)) for number in range(2400)),
        *((0x2000 + number, Anon()) for number in range(2000)),
        *((0x2800 + number, SwapCache(anon=number % 2 == 0)) for number in range(64)),
        *((0x3000 + 8 * number, Free(order=3)) for number in range(600)),
        *((0x4300 + number, Slab(odd_mapping=number % 2 == 0)) for number in range(900)),
        *((0x4700 + number, Offline()) for number in range(700)),
        *((0x4A00 + number, Hwpoison()) for number in range(8)),
        *((0x4C00 + 512 * number, Hugetlb(order=9)) for number in range(2)),
    ]
    return (*(place(pfn, kind) for pfn, kind in kinds), place(0x2A00, Thp(order=9)))


@cache
def machine(release: str, changed: tuple[tuple[str, int], ...] = ()) -> Vmcore:
    spec = Spec(release=release, ram=_RAM, pages=tuple(pages()))
    return put_accounts(build(spec), dict(changed))


Filter = Callable[..., tuple[frozenset[int], str]]


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Filter:
    """The pages that a level keeps of a machine, with kernel information from a text if there is one; what was said."""
    path = tmp_path_factory.mktemp("accounts") / "vmcore"
    written: list[Vmcore] = []

    def select_pages(core: Vmcore, level: int, given: str = "") -> tuple[frozenset[int], str]:
        said = StringIO()
        if not written or written[-1] is not core:
            core.elf(path)
            written.append(core)
        with open_dump(path) as dump:
            info = Vmcoreinfo.parse(given.encode()) if given else None
            seen = survey(dump, Options(path, dump_levels=(level,)), Messages(0), given=info)
            keep = select(seen, level, Messages(Level.COMMON | Level.REPORT, stdout=said)).keep
            return frozenset(pfn for start, end in keep.runs() for pfn in range(start, end)), said.getvalue()

    return select_pages


@pytest.mark.parametrize("release", RELEASES)
def test_a_kernel_that_counts_what_was_found_raises_no_doubt_at_any_level(release: str, filtered: Filter) -> None:
    core = machine(release)
    for level in range(32):
        kept, said = filtered(core, level)
        assert "not excluded" not in said, level
        assert kept == set(core.ram_pfns) - core.excluded(level), level


def test_both_numbers_of_each_class_are_in_the_report(filtered: Filter) -> None:
    _, said = filtered(machine("7.1.0"), 31)
    lines = [line.removeprefix("Self-check: ") for line in said.splitlines() if line.startswith("Self-check: ")]
    own = "found, the kernel's own account has"
    assert f"2432 cache pages {own} 2400 to 2464." in lines
    assert f"3568 user pages {own} 3536 to 3600." in lines
    # 2 processors: 186 pages in the lists of each, and up to 4 that its counters have not told.
    assert f"900 slabs {own} 16 to 1280." in lines
    assert f"2 hugetlb pages {own} 2." in lines
    assert f"8 poisoned pages {own} at most 8." in lines
    assert f"700 offline pages {own} at least 700." in lines
    assert f"4800 free pages {own} 4800." in lines


# Counters that say something else, the class that is kept then, and a level that leaves it out.
CONTRADICTIONS = (
    ("NR_FILE_PAGES", 4800, "cache pages", 6),
    ("NR_FILE_PAGES", 200, "cache pages", 2),
    ("NR_FILE_PAGES", 200, "cache pages", 6),
    ("NR_ANON_MAPPED", 6000, "user pages", 8),
    ("NR_ANON_MAPPED", 90, "user pages", 8),
    ("NR_SLAB_UNRECLAIMABLE_B", 100, "user pages", 8),
    ("NR_SLAB_UNRECLAIMABLE_B", 90_000, "user pages", 8),
    ("order 9", 12, "user pages", 8),
    ("order 9", 0, "user pages", 8),
    ("poisoned", 0, "poisoned pages", 0),
)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("counter", "count", "what", "level"), CONTRADICTIONS)
def test_a_class_that_the_kernel_counts_otherwise_is_kept(
    counter: str, count: int, what: str, level: int, release: str, filtered: Filter
) -> None:
    core = machine(release, ((counter, count),))
    for asked in (level, 31):
        kept, said = filtered(core, asked)
        [line] = [line for line in said.splitlines() if "not excluded" in line]
        assert line.startswith(f"{what} not excluded: "), asked
        assert " were found, but the kernel counts " in line
        assert kept >= set(core.ram_pfns) - core.excluded(asked), asked
        assert kept & core.excluded(asked), asked


def test_poisoned_pages_are_left_out_also_where_there_are_more_of_them(filtered: Filter) -> None:
    kept, said = filtered(machine("6.1.0", (("poisoned", 90),)), 31)
    assert "not excluded" not in said
    assert 0x4A00 not in kept


def test_user_pages_may_be_as_many_as_are_on_the_lists_when_fewer_are_mapped(filtered: Filter) -> None:
    # Of a large folio only the part that is mapped counts as that.
    core = machine("6.1.0", (("NR_ANON_MAPPED", 1500), ("NR_ACTIVE_ANON", 2512), ("NR_INACTIVE_FILE", 2400)))
    kept, said = filtered(core, 8)
    assert "not excluded" not in said
    assert "3568 user pages found, the kernel's own account has 2524 to 3536." in said
    assert kept == set(core.ram_pfns) - core.excluded(8)


def test_offline_pages_that_are_fewer_than_in_the_balloon_are_kept(filtered: Filter) -> None:
    kept, said = filtered(machine("7.1.0", (("NR_BALLOON_PAGES", 5000),)), 0)
    assert "offline pages not excluded: 700 offline pages were found, but the kernel counts at least 5000" in said
    assert 0x4700 in kept


def test_more_memory_than_there_are_struct_pages_is_a_doubt_about_all(filtered: Filter) -> None:
    # As many as the dump has not are not missed.
    core = machine("6.1.0", (("managed", 1 << 20),))
    _, said = filtered(core, 31)
    assert "not excluded" not in said


def numbers(core: Vmcore) -> dict[str, int]:
    lines = (line.partition("=") for line in core.vmcoreinfo.splitlines())
    keys = ("NUMBER(PG_", "NUMBER(PAGE_", "OFFSET(page.", "SIZE(page)")
    return {key: int(value) for key, _, value in lines if key.startswith(keys) and key != "OFFSET(page.lru)"}


def moves() -> list[tuple[str, str, int]]:
    steps = {"OFFSET": (8, -8), "SIZE(p": (8, -8), "NUMBER": (1, -1)}
    found = []
    for release in RELEASES:
        for key, value in numbers(machine(release)).items():
            for by in steps[key[:6]]:
                by *= 1 << 24 if "MAPCOUNT" in key and not value & 0xFFFFFF else 1
                if value + by >= 0 or value < 0:
                    found.append((release, key, by))
    return found


@pytest.mark.parametrize(("release", "key", "by"), moves())
def test_a_number_that_is_another_in_the_kernels_own_types_is_noticed(
    release: str, key: str, by: int, filtered: Filter
) -> None:
    core = machine(release)
    lines = [line for line in core.vmcoreinfo.splitlines() if not line.startswith(("KERNELOFFSET=", f"{key}="))]
    given = "\n".join([*lines, f"{key}={numbers(core)[key] + by}"]) + "\n"
    # With another size the memory map may be another one, of which not all can be read.
    kept, said = filtered(core, 31, given)
    assert "not excluded: " in said
    if key != "OFFSET(page._refcount)":
        assert kept >= set(core.ram_pfns) - core.excluded(31)


def test_a_kernel_without_a_table_of_symbols_counts_nothing_that_is_known(filtered: Filter) -> None:
    core = build(Spec(release="6.1.0", ram=_RAM, pages=tuple(pages())))
    kept, said = filtered(core, 31)
    assert "not excluded" not in said
    assert "2432 cache pages found, the kernel's own account is not known." in said
    assert "3568 user pages found, the kernel's own account is not known." in said
    assert kept == set(core.ram_pfns) - core.excluded(31)


def test_a_kernel_without_hugetlb_counts_its_other_user_pages(filtered: Filter) -> None:
    spec = Spec(release="6.1.0", ram=_RAM, pages=tuple(one for one in pages() if not isinstance(one.kind, Hugetlb)))
    core = put_accounts(build(spec), without=("hstates", "hugetlb_max_hstate"))
    _, said = filtered(core, 8)
    assert "2544 user pages found, the kernel's own account has 2512 to 2576." in said


@pytest.mark.parametrize("missing", ["__start_BTF", "__stop_BTF", "vm_node_stat", "init_uts_ns"])
def test_what_a_kernel_does_not_name_is_not_known_and_no_reason_for_doubt(missing: str, filtered: Filter) -> None:
    core = put_accounts(build(machine("6.12.0").spec), without=(missing,))
    kept, said = filtered(core, 31)
    assert "not excluded" not in said
    assert kept == set(core.ram_pfns) - core.excluded(31)


@pytest.mark.parametrize("name", ["hugetlb_max_hstate", "nr_cpu_ids", "_totalram_pages", "num_poisoned_pages"])
def test_a_number_in_memory_that_can_not_be_is_no_traceback_and_takes_no_time(name: str, filtered: Filter) -> None:
    core = put_accounts(build(machine("6.12.0").spec))
    paddr = core.symbols[name] - core.machine.image + core.machine.image_paddr
    size = 4 if name in ("hugetlb_max_hstate", "nr_cpu_ids") else 8
    core.machine.memory.write(paddr, b"\xff" * (size - 1) + b"\x7f")
    kept, said = filtered(core, 31)
    assert kept >= set(core.ram_pfns) - core.excluded(31)
    assert "not excluded" not in said


def test_any_damage_to_what_a_kernel_says_of_itself_loses_no_page(filtered: Filter) -> None:
    chance = random.Random(9)
    few = tuple(place(0xA00 + number, kind) for number, kind in enumerate((Anon(), Cache(), Free(order=0), Slab())))
    made = put_accounts(build(Spec(release="6.12.0", pages=few)))
    places = [address for name, address in numbered(made).items() if name.startswith("kallsyms_")]
    places += [made.symbols[name] for name in ("__start_BTF", "vm_node_stat", "hstates", "nr_cpu_ids")]
    memory, saved = made.machine.memory, {pfn: bytes(page) for pfn, page in made.machine.memory.pages.items()}
    expected = set(made.ram_pfns) - made.excluded(31)
    for _ in range(100):
        for _ in range(chance.choice((1, 3, 30))):
            at = physical(made, chance.choice(places)) + chance.randrange(512)
            memory.write(at, bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))]))
        begun = time.process_time()
        kept, _ = filtered(replace(made, vmcoreinfo=made.vmcoreinfo), 31)
        assert kept >= expected
        assert time.process_time() - begun < 2
        for pfn, page in saved.items():
            memory.pages[pfn][:] = page


def numbered(core: Vmcore) -> dict[str, int]:
    """The symbols in VMCOREINFO."""
    found = re.findall(r"SYMBOL\((\w+)\)=(\w+)", core.vmcoreinfo)
    return {name: int(address, 16) for name, address in found}


def physical(core: Vmcore, address: int) -> int:
    """Where an address of the image or of the direct map is in memory."""
    machine = core.machine
    return address - machine.image + machine.image_paddr if address >= machine.image else address - machine.direct
