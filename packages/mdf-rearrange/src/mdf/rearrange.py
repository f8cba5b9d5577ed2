#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns a flattened dump stream into a dump file.

usage: mdf-rearrange DUMPFILE < STREAM

One file that needs nothing but Python 3.6 or newer: it may be copied to a host as it is.
"""

import sys
from typing import List, Optional

__version__ = "0.1.0"


def main(argv: Optional[List[str]] = None) -> int:
    """Runs the command; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if "-h" in arguments or "--help" in arguments:
        print(__doc__.strip())
        return 0
    print("mdf-rearrange cannot rearrange a stream yet.", file=sys.stderr)
    print("\nmakedumpfile Failed.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
