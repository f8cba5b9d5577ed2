# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-xen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments
from mdf.core.errors import UnsupportedError
from mdf.core.manual import Manual
from mdf.core.options import Mode
from mdf.core.rules import check, expect_mode


def _prepare(parsed: ParsedArguments) -> NoReturn:
    check(parsed)
    expect_mode(parsed, Mode.XEN | Mode.CAPTURE, "mdf-xen")
    raise UnsupportedError("mdf-xen cannot filter the memory of a Xen host yet.")


MANUAL = Manual(
    name="mdf-xen",
    short="make a small dump file of a Xen host's memory",
    description="Makes a small dump file out of the memory image of a crashed Xen host.",
    usage=("[OPTION...] VMCORE DUMPFILE",),
    modes=Mode.XEN | Mode.CAPTURE,
)

COMMAND = Command(MANUAL, _prepare)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
