# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter's check of itself on real vmcores: no doubt as they are; with a number moved, doubt, and no page lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from corpus import corpus_items, vmcore
from mdf.capture.options import Options
from mdf.capture.selection import Selection, select
from mdf.capture.selfcheck import own_numbers
from mdf.capture.survey import survey
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import open_dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import given_info
from mdf.core.messages import Level, Messages

LEVELS = (2, 4, 8, 16, 31)
ITEMS = tuple(item for item in corpus_items() if not item.startswith("xen"))
# A page or two are in the hands of a processor, whatever the flag is taken for.
_HANDFUL = 40


def selected(item: str, level: int, info: Path | None = None, *, elf: bool = False) -> tuple[Selection, str]:
    """What a level selects with kernel information from a file, and what was said."""
    given = given_info(None, info) if info else None
    said = StringIO()
    messages = Messages(Level.COMMON | Level.REPORT, stdout=said)
    with open_dump(vmcore(item)) as dump:
        seen = survey(dump, Options(vmcore(item), dump_levels=(level,)), Messages(0), given=given)
        return select(seen, level, messages, elf=elf), said.getvalue()


@cache
def right(item: str, level: int) -> Bitmap:
    return selected(item, level)[0].keep


@cache
def exported(item: str) -> Vmcoreinfo:
    with open_dump(vmcore(item)) as dump:
        assert dump.info is not None
        return dump.info


@pytest.mark.parametrize("elf", [False, True])
@pytest.mark.parametrize("level", [0, 1, *LEVELS])
@pytest.mark.parametrize("item", ITEMS)
def test_a_real_vmcore_raises_no_doubt(item: str, level: int, elf: bool) -> None:
    # For an ELF dump, pages in two segments are counted twice.
    _, said = selected(item, level, elf=elf)
    assert "not excluded" not in said
    assert "pages that must stay are there." in said


# Classes, and how far from the kernel's own account they may be: by what is on the lists of its two processors.
CLASSES = {"free pages": 0, "cache pages": 16, "user pages": 64, "hugetlb pages": 0, "poisoned pages": 0}


@pytest.mark.parametrize("item", ITEMS)
def test_pages_of_each_class_are_as_many_as_the_kernel_counts(item: str) -> None:
    _, said = selected(item, 31)
    lines = [line.removeprefix("Self-check: ") for line in said.splitlines() if line.startswith("Self-check: ")]
    for what, apart in CLASSES.items():
        counted = [
            re.search(rf"(\d+) {what} found, the kernel's own account has (?:at most )?(\d+)(?: to (\d+))?\.", line)
            for line in lines
        ]
        found = [[int(number or match[2]) for number in match.groups()] for match in counted if match]
        # Debian's kernels of riscv64 and s390x know no poisoned pages.
        assert found or (what == "poisoned pages" and item.startswith(("riscv64", "s390x"))), what
        for number, low, high in found:
            assert low - apart <= number <= high + apart, what


# Moved by one, and what can't be told then.
NUMBERS = {
    "NUMBER(PG_lru)": "cache",
    "NUMBER(PG_private)": "cache",
    "NUMBER(PG_swapcache)": "cache",
    "NUMBER(PG_swapbacked)": "cache",
    "NUMBER(PG_hwpoison)": "hwpoison",
    "NUMBER(PG_slab)": "user",
    "NUMBER(PG_head_mask)": "user",
    "NUMBER(HUGETLB_PAGE_DTOR)": "user",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": "free",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": "offline",
    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": "user",
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": "user",
    "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)": "free",
    "OFFSET(page.flags)": "cache",
    "OFFSET(page.mapping)": "cache",
    "OFFSET(page._mapcount)": "free",
    "OFFSET(page.private)": "free",
    "OFFSET(page.compound_head)": "user",
    "OFFSET(page.compound_info)": "user",
    "OFFSET(page.compound_order)": "user",
    "OFFSET(page.compound_dtor)": "user",
}
ASKED = {"cache": (2, 4, 31), "user": (8, 31), "free": (16, 31), "offline": (0, 31), "hwpoison": (0, 31)}


def moved(key: str, value: int) -> Iterator[int]:
    """What a value may be one step away: a flag, a page type, a byte or a member of a structure."""
    if "head_mask" in key:
        yield from (value << 1, value >> 1)
        return
    steps = [1, 8] if key.startswith("OFFSET") else [1]
    if "MAPCOUNT" in key and not value & 0xFFFFFF:
        steps.append(1 << 24)
    yield from (value + step * sign for step in steps for sign in (1, -1) if value < 0 or value >= step or sign > 0)
    if "MAPCOUNT" in key and value & 0xFFFFFF:  # A bit that is cleared.
        yield from (~(~value << 1), ~(~value >> 1))


def moves() -> Iterator[tuple[str, str, int]]:
    for item in ITEMS:
        values = exported(item).values
        yield from ((item, key, to) for key in NUMBERS if key in values for to in moved(key, int(values[key])))


@pytest.mark.parametrize("types", [True, False], ids=["with the kernel's types", "by what is counted alone"])
@pytest.mark.parametrize(("item", "key", "to"), list(moves()))
def test_a_number_that_is_one_off_is_noticed_and_no_page_is_lost(
    item: str, key: str, to: int, types: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not types:
        monkeypatch.setattr(own_numbers, "doubts", lambda info, words: iter(()))
    values = {name: value for name, value in exported(item).values.items() if name != "KERNELOFFSET"}
    info = tmp_path / "vmcoreinfo"
    info.write_text("".join(f"{name}={to if name == key else value}\n" for name, value in values.items()))
    # Up to 6.10 page types are in no debug information.
    known = types and not ("MAPCOUNT" in key and int(values[key]) & 0xFFFFFF)
    for level in ASKED[NUMBERS[key]]:
        selection, said = selected(item, level, info)
        assert " not excluded: " in said or not known, level
        lost = right(item, level).copy()
        for start, end in selection.keep.runs():
            lost.clear_range(start, end)
        assert lost.count() <= (0 if known else _HANDFUL), level
