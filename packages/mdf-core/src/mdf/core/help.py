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
    for title, options in GROUPS.items():
        shown = [option for option in options if option.modes & modes]
        group = result.add_argument_group(title) if shown else result
        for option in shown:
            if option.metavar:
                group.add_argument(*option.flags, dest=option.name, metavar=option.metavar, help=option.help)
            else:
                group.add_argument(*option.flags, dest=option.name, action="store_true", help=option.help)
    return result
