# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs all tests: `python3 tools/test.py [TOX ARGUMENTS]`, for example `-e core`."""

from __future__ import annotations

import sys

from environment import environment, run


def main() -> None:
    """Installs tox into build/tox and runs it."""
    programs = environment("tox", "tox>=4.11")
    run(f"{programs}/tox", "run", *sys.argv[1:])


if __name__ == "__main__":
    main()
