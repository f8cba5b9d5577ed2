# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `mdf-capture`, and `makedumpfile` when it makes a dump."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdf.capture.manual import MANUAL
from mdf.capture.options import Options
from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments
from mdf.core.messages import Messages


def _prepare(parsed: ParsedArguments) -> Callable[[Messages], None]:
    options = Options.from_parsed(parsed)
    return lambda messages: _run(options, messages)


def _run(options: Options, messages: Messages) -> None:
    from mdf.capture.run import capture

    for line in capture(options, messages).lines():
        messages.report(line)
    messages.common(f"\nThe dumpfile is saved to {options.dumpfile or 'STDOUT'}.")


COMMAND = Command(MANUAL, _prepare)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
