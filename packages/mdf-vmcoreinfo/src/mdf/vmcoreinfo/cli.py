# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-vmcoreinfo."""

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
    expect_mode(parsed, Mode.GENERATE, "mdf-vmcoreinfo")
    raise UnsupportedError("mdf-vmcoreinfo cannot read debug information yet.")


MANUAL = Manual(
    name="mdf-vmcoreinfo",
    short="write VMCOREINFO from debug information",
    description="Writes the kernel information that filtering needs, from a kernel with debug information.",
    usage=("[OPTION...] -x VMLINUX -g VMCOREINFO",),
    modes=Mode.GENERATE,
)

COMMAND = Command(MANUAL, _prepare)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
