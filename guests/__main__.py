# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m guests [NAME...]: runs guests (all of them without a name) and checks what we make of their memory."""

from __future__ import annotations

import sys

from guests.check import check
from guests.machines import GUESTS
from guests.run import run


def main(names: list[str]) -> int:
    """Runs guests one after the other; 1 if an answer of ours is not that of a guest."""
    unknown = [name for name in names if name not in GUESTS]
    if unknown:
        print(f"no guest {', '.join(unknown)}; there are {', '.join(GUESTS)}", file=sys.stderr)
        return 2
    return max([int(not check(run(name))) for name in names or GUESTS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
