# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `mdf-capture`, and `makedumpfile` when it makes a dump."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mdf.capture.options import Options
from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments
from mdf.core.messages import Messages
from mdf.core.options import Mode
from mdf.core.rules import check, mode_of


def _prepare(parsed: ParsedArguments) -> Callable[[Messages], int | None]:
    if mode_of(parsed) is Mode.CHECK:
        check(parsed)
        return lambda messages: _check(parsed, messages)
    options = Options.from_parsed(parsed)
    return lambda messages: _run(options, messages)


def _run(options: Options, messages: Messages) -> None:
    from mdf.capture.run import capture

    for line in capture(options, messages).lines():
        messages.report(line)
    messages.common(f"\nThe dumpfile is saved to {options.dumpfile or 'STDOUT'}.")


def _check(parsed: ParsedArguments, messages: Messages) -> int:
    from mdf.capture.check import check_dump

    verdict = check_dump(tuple(map(Path, parsed.operands)))
    if parsed.has("json"):
        messages.answer(verdict.as_json())
    else:
        for line in verdict.details():
            messages.error(f"  {line}")
        messages.answer(verdict.line)
    return verdict.exit_status


COMMAND = Command("mdf-capture", "mdf.capture.manual:MANUAL", _prepare)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
