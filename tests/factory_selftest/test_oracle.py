# SPDX-License-Identifier: GPL-2.0-or-later
"""The oracle against real vmcores: the same bitmap and the same counters as the original."""

import hashlib

import pytest

from corpus import expected, vmcore
from oracle import filter_pages

COUNTERS = ("original", "hole", "zero", "cache", "cache_private", "user", "free", "hwpoison", "offline")


@pytest.mark.parametrize("level", [0, 1, 2, 4, 8, 16, 30, 31])
@pytest.mark.parametrize("item", ["x86_64-6.1-kdump", "x86_64-7.2-kdump"])
def test_bitmap_and_counters_of_a_real_vmcore_are_the_reference_s(item: str, level: int) -> None:
    answer = expected(item)["levels"][str(level)]
    _, bitmap, counters = filter_pages(vmcore(item), level)
    assert hashlib.sha256(bitmap).hexdigest() == answer["bitmap2_sha256"]
    assert {name: getattr(counters, name) for name in COUNTERS} == {name: answer["report"][name] for name in COUNTERS}
