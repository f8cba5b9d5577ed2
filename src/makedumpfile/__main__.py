# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides from the options which package is asked for, and hands the arguments over to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from mdf.core.command import answers, run_main
from mdf.core.commandline import ParsedArguments, spelled_out
from mdf.core.errors import UnsupportedError
from mdf.core.messages import Messages
from mdf.core.options import Mode

MODULES = {
    Mode.GENERATE: "mdf.vmcoreinfo.cli",
    Mode.REARRANGE: "mdf.rearrange",
    Mode.REASSEMBLE: "mdf.split.reassemble",
    Mode.DMESG: "mdf.dmesg.cli",
    Mode.MEM_USAGE: "mdf.capture.cli",
    Mode.XEN: "mdf.xen.cli",
    Mode.SPLIT: "mdf.split.cli",
    Mode.CAPTURE: "mdf.capture.cli",
    Mode.CHECK: "mdf.capture.cli",
}
_FOR_XEN_TOO = Mode.CAPTURE | Mode.SPLIT | Mode.DMESG


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)

    def answer(parsed: ParsedArguments, messages: Messages) -> int:
        if answers(parsed, messages, "makedumpfile", "makedumpfile.manual:MANUAL"):
            return 0
        mode = _mode(parsed)
        # mdf-rearrange stands alone: it reads its command line itself.
        return command_of(mode)(spelled_out(parsed, mode) if mode is Mode.REARRANGE else arguments)

    return run_main(answer, arguments)


def _mode(parsed: ParsedArguments) -> Mode:
    """What is asked for, in view of what the VMCORE is: the dump of a Xen host needs no option to say so.

    Raises UsageError for options that can't be used together.
    """
    from mdf.core.rules import check, mode_of

    check(parsed)
    mode = mode_of(parsed)
    files = parsed.every("disk_set") or parsed.operands[:1]
    if mode not in _FOR_XEN_TOO or parsed.has("check_params"):
        return mode
    from mdf.core.dumps import is_xen

    return Mode.XEN if files and is_xen(*map(Path, files)) else mode


def command_of(mode: Mode) -> Callable[[Sequence[str]], int]:
    """The `main` function of the package that does what `mode` asks for."""
    module = MODULES[mode]
    package = "-".join(module.split(".")[:2])
    try:
        command: Callable[[Sequence[str]], int] = import_module(module).main
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UnsupportedError(
            f"This needs {package}, which is not installed.", hint=f"pip install {package}"
        ) from None
    return command


if __name__ == "__main__":
    sys.exit(main())
