# SPDX-License-Identifier: GPL-2.0-or-later
"""What the newest reference loses of a real 7.2: tails that it can't see, which the kernel itself calls its own."""

import gzip
from pathlib import Path

import pytest
from guests.kdump.pages import Pages

from corpus import corpus, vmcore
from judges.programs import Makedumpfile

ITEM = "x86_64-7.2-kdump"
LEVEL = ("-c", "-d31")


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """What the kernel said of itself just before the crash."""
    said = corpus() / ITEM / "guest"
    (tmp_path / "iomem").write_bytes((said / "iomem").read_bytes())
    (tmp_path / "kpageflags").write_bytes(gzip.decompress((said / "kpageflags.bin.gz").read_bytes()))
    return tmp_path


@pytest.mark.parametrize("reference", ["newest"], indirect=True)
def test_our_dump_of_7_2_has_the_reference_s_pages_and_the_kernel_s_own_tails_that_it_loses(
    ours: Makedumpfile, reference: Makedumpfile, guest: Path
) -> None:
    pages = Pages(vmcore(ITEM), reference.dump(vmcore(ITEM), *LEVEL))
    assert [check for check in (*pages.reference(), *pages.kernel(guest)) if not check.holds] == []
    assert pages.same(ours.dump(vmcore(ITEM), *LEVEL))
