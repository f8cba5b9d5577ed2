# SPDX-License-Identifier: GPL-2.0-or-later
"""One command, from its arguments to its exit status, in the same way for all commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from mdf.core.commandline import ParsedArguments, message_level, parse, writes_to_stdout
from mdf.core.errors import MdfError, UsageError
from mdf.core.lenient import LiteralUsageError
from mdf.core.messages import Level, Messages

COMPLETED = "\nmakedumpfile Completed."
FAILED = "\nmakedumpfile Failed."


@dataclass(frozen=True)
class Command:
    """A command: `prepare` checks the arguments and returns what is to be run.

    `manual` is where its `Manual` is, as "module:name". What is run may return an exit status (an int); then it has
    said itself how it ended. `implied` is the option that the command's name stands for, if any.
    """

    name: str
    manual: str
    prepare: Callable[[ParsedArguments], Callable[[Messages], object]]
    implied: str = ""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Runs the command with `argv` (default: the arguments of the process); returns its exit status."""
        return run_main(self._answer, argv, implied=self.implied)

    def _answer(self, parsed: ParsedArguments, messages: Messages) -> int | None:
        if answers(parsed, messages, self.name, self.manual):
            return 0
        run = self.prepare(parsed)
        if parsed.has("check_params"):
            return 0
        result = run(messages)
        return result if isinstance(result, int) else None


def answers(parsed: ParsedArguments, messages: Messages, name: str, manual: str) -> bool:
    """Prints what `-h` or `-v` ask for of the command `name`; whether there was one of them. See `Command`."""
    if parsed.has("help"):
        module, _, constant = manual.partition(":")
        messages.common(getattr(import_module(module), constant).help_text(), end="")
    elif parsed.has("version"):
        from mdf.core.version import version_text

        messages.common(version_text(name))
    return parsed.has("help") or parsed.has("version")


def run_main(
    answer: Callable[[ParsedArguments, Messages], int | None], argv: Sequence[str] | None = None, *, implied: str = ""
) -> int:
    """Parses `argv`, calls `answer`, and says how it ended, unless `answer` returned an exit status and said so."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    messages = Messages(to_stderr=writes_to_stdout(arguments))
    failed = FAILED
    try:
        parsed = parse(arguments, implied)
        failed = "" if parsed.has("check_params") else FAILED
        messages.level = Level(message_level(parsed))
        status = answer(parsed, messages)
    except (MdfError, OSError, MemoryError, KeyboardInterrupt) as error:
        status = _explain(error, messages)
        if failed:
            messages.common(failed)
    if status is None:
        messages.common(COMPLETED)
    _forget_unwritten()
    return status or 0


def _explain(error: BaseException, messages: Messages) -> int:
    """Says in one line what went wrong, and what to do about it; returns the exit status for it."""
    if isinstance(error, UsageError):
        (messages.common if isinstance(error, LiteralUsageError) else messages.error)(str(error))
        if error.hint:
            messages.common(error.hint)
    elif isinstance(error, MdfError):
        messages.failure(error)
    elif isinstance(error, BrokenPipeError):
        messages.error("The reader of the output went away.")
    else:
        messages.error(_ONE_LINE.get(type(error)) or str(error))
    return error.exit_code if isinstance(error, MdfError) else _EXIT_STATUS.get(type(error), 1)


def _forget_unwritten() -> None:
    """What a stream did not take must not raise again when the interpreter ends, and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_ONE_LINE: dict[type[BaseException], str] = {KeyboardInterrupt: "Interrupted.", MemoryError: "Out of memory."}
_EXIT_STATUS: dict[type[BaseException], int] = {KeyboardInterrupt: 130}
