# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

import makedumpfile.manual
import mdf.capture.manual
from mdf.core.manual import Manual
from mdf.core.options import OPTIONS

ROOT = Path(__file__).parents[2]
PAGES = [
    (ROOT / "man/makedumpfile.8", makedumpfile.manual.MANUAL),
    (ROOT / "packages/mdf-capture/man/mdf-capture.8", mdf.capture.manual.MANUAL),
]


@pytest.mark.parametrize(("page", "manual"), PAGES)
def test_the_page_covers_what_a_manual_must(page: Path, manual: Manual) -> None:
    text = page.read_text().replace("\\-", "-")
    shown = [option for option in OPTIONS if option.modes & manual.modes]
    assert all(f"\\fB{', '.join(option.flags)}\\fR" in text for option in shown)
    for heading in (
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "DUMP LEVELS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "EXAMPLES",
    ):
        assert f"\n.SH {heading}\n" in text
    for level in ("1", "2", "4", "8", "16"):
        assert f"\n{level:>4}  " in text
    assert "TMPDIR" in text
    assert f"\n  {manual.name} -c -d 31 /proc/vmcore " in text
