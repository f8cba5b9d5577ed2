# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-vmcoreinfo."""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mdf.core.command import Command, run_main
from mdf.core.commandline import INVALID, ParsedArguments, parse
from mdf.core.errors import OutputError, UsageError
from mdf.core.messages import Messages
from mdf.core.options import Mode
from mdf.core.paths import same_file
from mdf.core.rules import check, expect_mode, mode_of


def _prepare(parsed: ParsedArguments) -> Callable[[Messages], None]:
    """The syntax of makedumpfile: -g."""
    check(parsed)
    expect_mode(parsed, Mode.GENERATE, "mdf-vmcoreinfo")
    target, xen_syms = Path(parsed.last("generate") or ""), parsed.last("xen_syms")
    source = Path(xen_syms or parsed.last("vmlinux") or "")

    def run(messages: Messages) -> None:
        _check(target, source)
        _write(target, _text(source, xen=bool(xen_syms)))
        messages.common(f"\nThe vmcoreinfo is saved to {target}.")

    return run


def _text(source: Path, *, xen: bool = False) -> str:
    # Here, because the parameter check does without it.
    from mdf.core.debuginfo import keys
    from mdf.core.debuginfo.find import find
    from mdf.vmcoreinfo import text

    return text.xen_text(find(source, keys.XEN)) if xen else text.vmcoreinfo_text(find(source))


def _check(target: Path, source: Path) -> None:
    """Raises OutputError for an output that is the file to read."""
    if same_file(target, source):
        raise OutputError(f"Can't write the file({target}). It is the file to read itself.")


def _write(target: Path, text: str) -> None:
    """Replaces what is in a file. One that could not be written to its end is empty."""
    try:
        # A FIFO that nobody reads is an error: not a run that waits for ever.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise _cannot_write(target, error) from error
    rest = memoryview(text.encode("ascii"))
    try:
        os.set_blocking(descriptor, True)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        with suppress(OSError):  # Only files have a length.
            if rest:
                os.ftruncate(descriptor, 0)
        os.close(descriptor)


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(f"Can't write the file({target}). {error.strerror}")


@dataclass(frozen=True)
class Request:
    """The command's own syntax: `VMLINUX [-o FILE] [--json] [--missing]`."""

    vmlinux: Path
    output: Path | None
    json: bool
    missing: bool

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Request:
        """Raises UsageError."""
        try:
            pairs, operands = getopt.gnu_getopt(list(arguments), "o:", ["json", "missing"])
        except getopt.GetoptError as error:
            raise UsageError(str(error), hint=INVALID) from None
        options = dict(pairs)
        if len(operands) != 1:
            raise UsageError(f"wrong number of operands: {' '.join(operands) or 'none'}", hint=INVALID)
        if "--json" in options and "--missing" in options:
            raise UsageError("--json cannot be used with --missing: it tells what is missing as well", hint=INVALID)
        output = Path(options["-o"]) if "-o" in options else None
        return cls(Path(operands[0]), output, "--json" in options, "--missing" in options)

    def run(self) -> None:
        """Writes what is asked for."""
        if self.output:
            _check(self.output, self.vmlinux)
        text = self._text()
        if self.output:
            _write(self.output, text)
        else:
            sys.stdout.write(text)
            sys.stdout.flush()

    def _text(self) -> str:
        from mdf.core.debuginfo.find import find
        from mdf.vmcoreinfo.text import as_json, missing_text

        if self.json:
            return as_json(find(self.vmlinux)) + "\n"
        return missing_text(find(self.vmlinux)) if self.missing else _text(self.vmlinux)


COMMAND = Command("mdf-vmcoreinfo", "mdf.vmcoreinfo.manual:MANUAL", _prepare)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if _is_makedumpfile_syntax(arguments):
        return COMMAND.main(arguments)

    def answer(parsed: ParsedArguments, messages: Messages) -> int:
        Request.parse(arguments).run()
        return 0

    # Standard output carries what was found, so messages go where -F sends them.
    return run_main(answer, ["-F"])


def _is_makedumpfile_syntax(arguments: Sequence[str]) -> bool:
    if any(argument[:2] == "-o" or argument in ("--json", "--missing") for argument in arguments):
        return False
    try:
        parsed = parse(arguments)
    except UsageError:
        return True
    return bool(parsed.given) or not parsed.operands or mode_of(parsed) is not Mode.CAPTURE
