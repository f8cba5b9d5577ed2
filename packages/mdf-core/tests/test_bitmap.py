# SPDX-License-Identifier: GPL-2.0-or-later
"""A bitmap does what a list of booleans does, in memory and in a file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mdf.core.bitmap import CHUNK, Bitmap, Place, pack, unpack
from mdf.core.errors import OutputError

SIZES = (1, 7, 8, 9, 1000, CHUNK, CHUNK + 3, 3 * CHUNK + 17)


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place() if request.param == "memory" else Place(tmp_path, 0)


def filled(size: int, place: Place, seed: int) -> tuple[Bitmap, list[bool]]:
    """A bitmap and its model after random ranges were set and cleared, some of them beyond the end."""
    chance, bitmap, model = random.Random(seed), Bitmap(size, place), [False] * size
    for _ in range(40):
        start = chance.randrange(size)
        end = min(start + chance.choice((0, 1, 5, 9, 64, size)), size + 10)
        value = chance.random() < 0.6
        (bitmap.set_range if value else bitmap.clear_range)(start, end)
        for pfn in range(start, min(end, size)):
            model[pfn] = value
    return bitmap, model


@pytest.mark.parametrize("size", SIZES)
def test_ranges_bits_and_counts(size: int, place: Place) -> None:
    bitmap, model = filled(size, place, size)
    assert [bitmap[pfn] for pfn in range(size)] == model
    assert not bitmap[size]
    assert not bitmap[-1]
    assert bitmap.count() == sum(model)
    chance = random.Random(size)
    for _ in range(50):
        start, end = sorted((chance.randrange(size + 1), chance.randrange(size + 1)))
        assert bitmap.count(start, end) == sum(model[start:end])


@pytest.mark.parametrize("size", SIZES)
def test_runs_cover_exactly_the_set_bits_in_order(size: int, place: Place) -> None:
    bitmap, model = filled(size, place, size + 1)
    for start, end in ((0, size), (size // 3, size), (0, size // 2)):
        pages = [pfn for first, last in bitmap.runs(start, end) for pfn in range(first, last)]
        assert pages == [pfn for pfn in range(start, end) if model[pfn]]


@pytest.mark.parametrize("size", SIZES)
def test_columns_are_read_and_cleared(size: int, place: Place) -> None:
    bitmap, model = filled(size, place, size + 2)
    assert bitmap.column(0, size + 5) == bytes(model) + bytes(5)
    chance = random.Random(size)
    start = size // 2 & ~7
    column = bytes(chance.randrange(2) for _ in range(size - start))
    bitmap.clear_column(start, column)
    for index, drop in enumerate(column):
        model[start + index] &= not drop
    assert bitmap.column(0, size) == bytes(model)


def test_a_copy_is_equal_and_independent(place: Place) -> None:
    bitmap, model = filled(5000, place, 3)
    copy = bitmap.copy()
    bitmap.clear_range(0, 5000)
    assert copy.column(0, 5000) == bytes(model)


def test_written_bits_beyond_the_size_are_dropped() -> None:
    bitmap = Bitmap(10)
    bitmap.write(0, b"\xff\xff\xff\xff")
    assert bitmap.count() == 10
    assert bitmap.read(0, 4) == b"\xff\x03"


def test_packing_is_undone_by_unpacking() -> None:
    column = bytes(random.Random(0).randrange(2) for _ in range(1003))
    assert unpack(pack(column))[:1003] == column


def test_no_room_for_the_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere") as caught:
        Bitmap(100, Place(tmp_path / "nowhere", 0))
    assert "TMPDIR" in (caught.value.hint or "")


def test_the_file_is_in_the_directory_and_has_no_name(tmp_path: Path) -> None:
    bitmap = Bitmap(100, Place(tmp_path, 0))
    assert not list(tmp_path.iterdir())
    assert f" {tmp_path}/kdump_bitmap" in Path("/proc/self/maps").read_text()
    assert bitmap.count() == 0


def test_a_huge_empty_bitmap_costs_neither_memory_nor_disk(tmp_path: Path) -> None:
    bitmap = Bitmap(1 << 36, Place(tmp_path))
    bitmap.set_range(1 << 35, (1 << 35) + 3)
    assert bitmap[(1 << 35) + 2]
    assert not bitmap[(1 << 35) + 3]


def test_of_a_bitmap_in_a_file_little_is_in_memory_and_every_bit_stays(tmp_path: Path) -> None:
    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssFile", "RssShmem")))

    size = 1 << 27  # 16 MiB
    before = resident()
    bitmap = Bitmap(size, Place(tmp_path, 0))
    bitmap.set_range(0, size)
    for pfn in range(0, size, 1 << 20):
        bitmap.clear_column(pfn, b"\x01")
        bitmap.clear_range(pfn + 9, pfn + 10)
    assert bitmap.count() == size - 2 * (size >> 20)
    assert list(bitmap.runs(1 << 20, (1 << 20) + 12)) == [
        ((1 << 20) + 1, (1 << 20) + 9),
        ((1 << 20) + 10, (1 << 20) + 12),
    ]
    assert resident() - before < 4 << 20
