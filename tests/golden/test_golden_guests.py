# SPDX-License-Identifier: GPL-2.0-or-later
"""What real kernels said of each of their pages just before, against what we leave out of dumps of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from guests.agreement import agreement

from corpus import corpus, vmcore

ITEMS = sorted(path.parent.name for path in corpus().glob("*/guest") if list(path.glob("kpageflags*")))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "agreement-with-kernels.md"


def guests_files(item: str, folder: Path) -> Path:
    """The files that the guest wrote about itself, unpacked."""
    for path in (corpus() / item / "guest").iterdir():
        if path.name.startswith("kpageflags"):
            (folder / "kpageflags").write_bytes(gzip.decompress(path.read_bytes()))
        elif path.name == "iomem":
            (folder / "iomem").write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("item", ITEMS)
def test_pages_are_what_the_kernel_said_but_for_those_that_changed_since_and_the_docs_show_it(
    item: str, tmp_path: Path
) -> None:
    found = agreement(vmcore(item), guests_files(item, tmp_path))
    assert found.total > 50_000
    # What was freed or allocated since is proved by the page's reference count; only a few changed their use.
    assert found.changed <= found.total // 1000
    shown = PAGE.read_text(encoding="utf-8").split(f"## {item}\n")[1].split("\n## ")[0]
    assert "\n".join(f"    {line}" for line in found.lines()) in shown
    counts = (found.total, found.same, found.freed, found.allocated, found.changed)
    assert "{} pages: {} the same, {} freed since, {} allocated since, {} changed.".format(*counts) in shown
