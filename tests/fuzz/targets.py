# SPDX-License-Identifier: GPL-2.0-or-later
"""All targets by their names."""

from __future__ import annotations

from fuzz.dumps import DUMPS
from fuzz.formats import FORMATS
from fuzz.memory import MEMORY
from fuzz.xen import XEN

TARGETS = {target.name: target for target in (*FORMATS, *DUMPS, *MEMORY, *XEN)}
