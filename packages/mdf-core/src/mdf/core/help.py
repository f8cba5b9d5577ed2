# SPDX-License-Identifier: GPL-2.0-or-later
"""The help of a command, made from the option table with argparse.

The manual pages come from the same parser. Nothing here parses: argparse cannot read this syntax, and is slow to load.
"""

from __future__ import annotations

import argparse

from mdf.core.options import GROUPS, Mode


def parser(name: str, description: str, usage: tuple[str, ...], modes: Mode) -> argparse.ArgumentParser:
    """A parser that knows the options of `modes`, in their groups."""
    indent = "\n" + " " * len("usage: ")
    result = argparse.ArgumentParser(
        name, usage=indent.join(f"{name} {form}" for form in usage), description=description, add_help=False
    )
    if hasattr(result, "color"):  # Since Python 3.14 help is colored.
        result.color = False
    for group in GROUPS:
        options = [option for option in group.options if option.modes & modes]
        shown = result.add_argument_group(group.title) if options else result
        for option in options:
            if option.metavar:
                shown.add_argument(*option.flags, dest=option.name, metavar=option.metavar, help=option.help)
            else:
                shown.add_argument(*option.flags, dest=option.name, action="store_true", help=option.help)
    return result
