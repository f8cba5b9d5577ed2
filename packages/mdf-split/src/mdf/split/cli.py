# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-split, and `makedumpfile --split`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments
from mdf.core.messages import Messages
from mdf.split.options import SplitOptions


def _prepare(parsed: ParsedArguments) -> Callable[[Messages], None]:
    options = SplitOptions.from_parsed(parsed)
    return lambda messages: _run(options, messages)


def _run(options: SplitOptions, messages: Messages) -> None:
    from mdf.split.run import split

    for line in split(options, messages).lines():
        messages.report(line)
    *names, last = map(str, options.dumpfiles)
    messages.common(f"\nThe dumpfiles are saved to {', '.join(names)}, and {last}.")


COMMAND = Command("mdf-split", "mdf.split.manual:SPLIT", _prepare, implied="split")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
