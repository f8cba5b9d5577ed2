# SPDX-License-Identifier: GPL-2.0-or-later
"""The large vmcore, made small."""

import zlib
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from factory.large import PAGE, POOL_PAGES, pools, write_large
from oracle import filter_pages


@pytest.fixture(scope="module")
def vmcore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_large(tmp_path_factory.mktemp("large") / "vmcore", gib=0.125)


def test_it_has_every_class_of_pages_in_a_realistic_share(vmcore: Path) -> None:
    _, bitmap, counters = filter_pages(vmcore, 31)
    share = {name: getattr(counters, name) / counters.original for name in ("cache", "cache_private", "user", "free")}
    assert all(0.01 < part < 0.7 for part in share.values()), share
    kept = sum(byte.bit_count() for byte in bitmap)
    assert 0.05 < kept / counters.original < 0.5


def test_the_same_seed_gives_the_same_file_and_another_one_does_not(vmcore: Path, tmp_path: Path) -> None:
    again = write_large(tmp_path / "again", gib=0.125)
    other = write_large(tmp_path / "other", gib=0.125, seed=2)
    assert vmcore.read_bytes() == again.read_bytes() != other.read_bytes()


def test_kernel_data_deflates_to_less_than_half() -> None:
    kernel = pools(Random(1))["kernel"]
    pages = [kernel[at * PAGE : (at + 1) * PAGE] for at in range(0, POOL_PAGES, 16)]
    assert 0.3 < sum(len(zlib.compress(page, 1)) for page in pages) / (PAGE * len(pages)) < 0.5
    assert Counter(map(bytes, pages)).most_common(1)[0][1] == 1
