# SPDX-License-Identifier: GPL-2.0-or-later
"""Which items of the corpus can be compared."""

from __future__ import annotations

import pytest

from corpus import vmcore
from mdf.core.dumps import open_dump


@pytest.fixture
def supported(item: str) -> None:
    """Leaves out dumps of Xen, and says so."""
    with open_dump(vmcore(item)) as dump:
        if dump.xen:
            pytest.skip("dumps of Xen are tested with mdf-xen")
