# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter alone: selects the pages of a vmcore at level 31 and copies none (`python -m bench.filtering VMCORE`)."""

import sys
from pathlib import Path

from mdf.capture.analysis import LINUX
from mdf.capture.options import Options
from mdf.capture.selection import select
from mdf.capture.steps import surveyed
from mdf.core.messages import Messages


def main() -> None:
    """Prints how many pages there are, and how many are kept."""
    messages = Messages(0)
    with surveyed(Options(Path(sys.argv[1]), dump_levels=(31,)), messages, LINUX) as seen:
        print(seen.max_mapnr, select(seen, 31, messages).keep.count())


if __name__ == "__main__":
    main()
