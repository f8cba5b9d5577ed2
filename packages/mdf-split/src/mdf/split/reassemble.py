# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-reassemble, and `makedumpfile --reassemble`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments
from mdf.core.messages import Messages
from mdf.core.options import Mode
from mdf.core.rules import check, expect_mode


def _prepare(parsed: ParsedArguments) -> Callable[[Messages], None]:
    check(parsed)
    expect_mode(parsed, Mode.REASSEMBLE, "mdf-reassemble")
    return lambda messages: _run(parsed, messages)


def _run(parsed: ParsedArguments, messages: Messages) -> None:
    from mdf.split.join import JoinOptions, reassemble

    *parts, dumpfile = map(Path, parsed.operands)
    work_dir = parsed.last("work_dir")
    options = JoinOptions(
        tuple(parts), dumpfile, force=parsed.has("force"), work_dir=Path(work_dir) if work_dir else None
    )
    reassemble(options, messages)
    messages.common(f"\nThe dumpfile is saved to {dumpfile}.")


COMMAND = Command("mdf-reassemble", "mdf.split.manual:REASSEMBLE", _prepare, implied="reassemble")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
