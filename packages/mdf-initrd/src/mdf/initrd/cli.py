# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `mdf-initrd`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mdf.core import __version__
from mdf.core.errors import MdfError
from mdf.initrd.commands import installed
from mdf.initrd.payload import Entry, payload
from mdf.initrd.tree import write_tree


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(
        "mdf-initrd",
        usage="mdf-initrd ROOT\n       mdf-initrd --list",
        description="Puts makedumpfile, and the other commands that are installed here, below ROOT, the folder that "
        "becomes the initrd of a capture kernel, with the interpreter, the modules and the shared libraries they need.",
        add_help=False,
    )
    result.add_argument("--list", action="store_true", help="Write nothing: print size and place of each file.")
    result.add_argument("-h", "--help", action="store_true", help="Print this help.")
    result.add_argument("-v", "--version", action="store_true", help="Print the version.")
    result.add_argument("root", metavar="ROOT", nargs="?", type=Path, help="An existing folder.")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0, 1 for an error, 2 for a wrong command line."""
    options = parser().parse_args(argv)
    if options.help or options.version:
        print(
            parser().format_help() if options.help else f"mdf-initrd: version {__version__}", end="\n"[options.help :]
        )
        return 0
    if options.list == (options.root is not None):
        parser().error("either ROOT or --list")
    try:
        if not options.list and not options.root.is_dir():
            parser().error(f"{options.root} is not a folder")
        entries = payload()
        if options.list:
            for entry in entries:
                print(_line(entry))
        else:
            write_tree(options.root, entries)
            size = sum(len(entry.read()) for entry in entries)
            print(f"{', '.join(installed())}: {len(entries)} files, {size} bytes")
    except (MdfError, OSError) as error:
        print(*filter(None, (str(error), getattr(error, "hint", None))), sep="\n", file=sys.stderr)
        return 1
    return 0


def _line(entry: Entry) -> str:
    return f"{len(entry.read()):>9} /{entry.target}{' -> ' * bool(entry.link)}{entry.link}"


if __name__ == "__main__":
    sys.exit(main())
