# SPDX-License-Identifier: GPL-2.0-or-later
"""The command `mdf-dmesg`, and `makedumpfile --dump-dmesg`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments, parse
from mdf.core.errors import FormatError, UsageError
from mdf.core.messages import Messages
from mdf.core.options import Mode
from mdf.core.rules import mode_of
from mdf.dmesg.options import Options

if TYPE_CHECKING:
    from mdf.dmesg.run import OpenKernel

_IMPLIED = "dump_dmesg"
_JSON = "--json"  # Of this command alone: makedumpfile has no such option.
_PRINTING = ("-F", "--message-level", "4")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    arguments = [argument for argument in given if argument != _JSON]
    command = Command("mdf-dmesg", "mdf.dmesg.manual:MANUAL", partial(_prepare, json=_JSON in given), implied=_IMPLIED)
    return command.main([*_PRINTING, *arguments] if _prints(arguments) else arguments)


def _prints(arguments: Sequence[str]) -> bool:
    """Whether there is a VMCORE and nothing that says where its log goes: then it is printed."""
    try:
        parsed = parse(arguments, _IMPLIED)
    except UsageError:
        return False
    if mode_of(parsed) is not Mode.DMESG or parsed.has("flattened") or parsed.has("disk_set"):
        return False
    return len(parsed.operands) == 1


def _prepare(parsed: ParsedArguments, *, json: bool) -> Callable[[Messages], None]:
    options = Options.from_parsed(parsed, json=json)
    return lambda messages: run(options, messages)


def run(options: Options, messages: Messages, open_: OpenKernel | None = None) -> None:
    """Writes the log and says so; `open_` finds the kernel in the dump, if it is not the dump's own."""
    from mdf.dmesg.run import open_linux, save_log

    report = save_log(options, messages, open_ or open_linux)
    if report.damage.count:
        for line in report.damage.lines:
            messages.error(line)
        raise FormatError(
            f"The kernel's log is damaged: {report.damage.count} findings.", hint=f"{report.name} has what is sound."
        )
    messages.common(f"\nThe dmesg log is saved to {report.name}.")
