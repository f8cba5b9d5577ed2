# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the manual pages from the commands' own parsers: `python tools/manpages.py [--check]`.

With `--check` nothing is written: pages that are not up to date are named, and the exit status is 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from argparse_manpage.manpage import Manpage

import makedumpfile.manual
import mdf.capture.manual
import mdf.dmesg.manual
import mdf.split.manual
import mdf.vmcoreinfo.manual
import mdf.xen.manual
from mdf.core import __version__
from mdf.core.manual import Manual
from mdf.core.version import RELEASED

ROOT = Path(__file__).parent.parent

PAGES = (
    (ROOT / "man", makedumpfile.manual.MANUAL),
    (ROOT / "packages/mdf-capture/man", mdf.capture.manual.MANUAL),
    (ROOT / "packages/mdf-dmesg/man", mdf.dmesg.manual.MANUAL),
    (ROOT / "packages/mdf-vmcoreinfo/man", mdf.vmcoreinfo.manual.MANUAL),
    (ROOT / "packages/mdf-split/man", mdf.split.manual.SPLIT),
    (ROOT / "packages/mdf-split/man", mdf.split.manual.REASSEMBLE),
    (ROOT / "packages/mdf-xen/man", mdf.xen.manual.MANUAL),
)


def page(manual: Manual) -> str:
    """The manual page of a command, in roff."""
    data = {
        "project_name": "makedumpfile",
        "version": __version__,
        "date": RELEASED,
        "manual_section": 8,
        "manual_title": "System Administration",
        "description": manual.short,
    }
    parser = manual.parser()
    for action in parser._actions:
        if "--help" in action.option_strings:  # Would be left out.
            action.option_strings = ["-h, --help"]
    result = Manpage(parser, data)
    result.add_section("synopsis", "=", "\n.br\n".join(f"\\fB{manual.name}\\fR {roff(form)}" for form in manual.usage))
    for section in manual.sections:
        result.add_section(section.heading, "=", roff(section.text))
    return f'.\\" SPDX-License-Identifier: GPL-2.0-or-later\n{result}'


def roff(text: str) -> str:
    """Plain text as roff: lines that begin with a blank keep their form, an empty line begins a paragraph."""
    lines = []
    kept = False
    for line in text.replace("\\", "\\e").replace("-", "\\-").split("\n"):
        if line.startswith(" ") != kept:
            kept = not kept
            lines.append(".nf" if kept else ".fi")
        lines.append(line or ".PP")
    return "\n".join([*lines, ".fi"] if kept else lines)


def write_or_check(files: Iterable[tuple[Path, str]], arguments: list[str]) -> int:
    """Writes files, each with its text; with --check says which are not up to date, and the exit status is 1."""
    stale = 0
    for path, text in files:
        if arguments != ["--check"]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale += 1
            print(f"{path.relative_to(ROOT)} is not up to date: run tox -e man -- --write")
    return 1 if stale else 0


def main(arguments: list[str]) -> int:
    """Writes or checks all pages."""
    os.environ["COLUMNS"] = "120"  # The width argparse wraps to.
    return write_or_check(((folder / f"{manual.name}.8", page(manual)) for folder, manual in PAGES), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
