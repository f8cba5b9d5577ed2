# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter's check of itself on real vmcores: no doubt as they are; with a number moved, doubt, and no page lost."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from corpus import corpus_items, vmcore
from mdf.capture.options import Options
from mdf.capture.selection import Selection, select
from mdf.capture.survey import survey
from mdf.core.bitmap import Bitmap
from mdf.core.dumps import open_dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import given_info
from mdf.core.messages import Level, Messages

LEVELS = (2, 4, 8, 16, 31)
ITEMS = tuple(item for item in corpus_items() if not item.startswith("xen"))
# A page or two are in the hands of a processor, whatever the flag is taken for.
_HANDFUL = 32


def selected(item: str, level: int, info: Path | None = None) -> tuple[Selection, str]:
    """What a level selects with kernel information from a file, and what was said."""
    given = given_info(None, info) if info else None
    said = StringIO()
    messages = Messages(Level.COMMON | Level.REPORT, stdout=said)
    with open_dump(vmcore(item)) as dump:
        seen = survey(dump, Options(vmcore(item), dump_levels=(level,)), Messages(0), given=given)
        return select(seen, level, messages), said.getvalue()


@cache
def right(item: str, level: int) -> Bitmap:
    return selected(item, level)[0].keep


@cache
def exported(item: str) -> Vmcoreinfo:
    with open_dump(vmcore(item)) as dump:
        assert dump.info is not None
        return dump.info


@pytest.mark.parametrize("level", [0, 1, *LEVELS])
@pytest.mark.parametrize("item", ITEMS)
def test_a_real_vmcore_raises_no_doubt(item: str, level: int) -> None:
    _, said = selected(item, level)
    assert "not excluded" not in said
    assert "pages that must stay are there." in said


@pytest.mark.parametrize("item", ITEMS)
def test_free_pages_are_those_that_the_kernel_counts(item: str) -> None:
    _, said = selected(item, 16)
    [line] = [line for line in said.splitlines() if "free pages found" in line]
    found, account = line.split()[1], line.split()[-1].rstrip(".")
    assert account in (found, "known")


# Moved by one, and what can't be told then.
NUMBERS = {
    "NUMBER(PG_lru)": "cache",
    "NUMBER(PG_private)": "cache",
    "NUMBER(PG_swapbacked)": "user",
    "NUMBER(PG_head_mask)": "user",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)": "free",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)": "offline",
    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)": "user",
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)": "user",
    "OFFSET(page.flags)": "cache",
    "OFFSET(page.mapping)": "cache",
    "OFFSET(page._mapcount)": "free",
    "OFFSET(page.private)": "free",
    "OFFSET(page.compound_head)": "user",
    "OFFSET(page.compound_info)": "user",
}
ASKED = {"cache": (2, 4, 31), "user": (8, 31), "free": (16, 31), "offline": (0, 31)}


def moves() -> Iterator[tuple[str, str, int]]:
    for item in ITEMS:
        for key in NUMBERS:
            if key in exported(item).values:
                yield item, key, 1
                yield item, key, -1


@pytest.mark.parametrize(("item", "key", "by"), list(moves()))
def test_a_number_that_is_one_off_is_noticed_and_no_page_is_lost(item: str, key: str, by: int, tmp_path: Path) -> None:
    values = {name: value for name, value in exported(item).values.items() if name != "KERNELOFFSET"}
    moved = int(values[key]) + by
    if moved < 0 <= int(values[key]):
        pytest.skip("there is nothing before it")
    if "head_mask" in key:
        moved = int(values[key]) << 1 if by > 0 else int(values[key]) >> 1
    info = tmp_path / "vmcoreinfo"
    info.write_text("".join(f"{name}={moved if name == key else value}\n" for name, value in values.items()))
    for level in ASKED[NUMBERS[key]]:
        selection, said = selected(item, level, info)
        # With pages of 64 KiB there are too few of some classes to tell.
        assert " not excluded: " in said or exported(item).page_size > 4096, level
        lost = right(item, level).copy()
        for start, end in selection.keep.runs():
            lost.clear_range(start, end)
        assert lost.count() <= _HANDFUL, level
