# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-split."""

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
    expect_mode(parsed, Mode.SPLIT, "mdf-split")
    raise UnsupportedError("mdf-split cannot write a dump into several files yet.")


MANUAL = Manual(
    name="mdf-split",
    short="write one dump into several files",
    description="Makes a small dump of a crashed kernel's memory image, written into several files at the same time.",
    usage=("[OPTION...] VMCORE DUMPFILE DUMPFILE...",),
    modes=Mode.SPLIT | Mode.CAPTURE,
)

COMMAND = Command(MANUAL, _prepare, implied="split")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
