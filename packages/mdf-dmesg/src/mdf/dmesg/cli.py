# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-dmesg."""

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
    expect_mode(parsed, Mode.DMESG, "mdf-dmesg")
    raise UnsupportedError("mdf-dmesg cannot take the log out of a vmcore yet.")


MANUAL = Manual(
    name="mdf-dmesg",
    short="take the kernel's log out of a vmcore",
    description="Writes the log of a crashed kernel to a text file.",
    usage=("[OPTION...] VMCORE LOGFILE",),
    modes=Mode.DMESG,
)

COMMAND = Command(MANUAL, _prepare, implied="dump_dmesg")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
