# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-reassemble."""

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
    expect_mode(parsed, Mode.REASSEMBLE, "mdf-reassemble")
    raise UnsupportedError("mdf-reassemble cannot join the files of a split dump yet.")


MANUAL = Manual(
    name="mdf-reassemble",
    short="join the files of a split dump",
    description="Joins the files of a split dump.",
    usage=("[OPTION...] DUMPFILE... DUMPFILE",),
    modes=Mode.REASSEMBLE,
)

COMMAND = Command(MANUAL, _prepare, implied="reassemble")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
