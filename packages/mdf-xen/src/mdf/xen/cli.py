# SPDX-License-Identifier: GPL-2.0-or-later
"""The command mdf-xen, and `makedumpfile` for the dump of a Xen host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mdf.core.command import Command
from mdf.core.commandline import ParsedArguments
from mdf.core.messages import Messages
from mdf.core.options import Mode
from mdf.core.rules import check, expect_mode, mode_of
from mdf.xen.options import MODES, XenOptions


def _prepare(parsed: ParsedArguments) -> Callable[[Messages], None]:
    check(parsed)
    expect_mode(parsed, MODES | Mode.DMESG, "mdf-xen")
    if mode_of(parsed) is Mode.DMESG:
        return _dom0_log(parsed)
    options = XenOptions.from_parsed(parsed)
    if parsed.has("xen_dmesg"):
        return lambda messages: _hypervisor_log(options, messages)
    return lambda messages: _dump(options, messages)


def _dump(options: XenOptions, messages: Messages) -> None:
    from mdf.xen.run import dump_host

    for line in dump_host(options, messages).lines():
        messages.report(line)
    if options.split:
        *names, last = map(str, options.split.dumpfiles)
        messages.common(f"\nThe dumpfiles are saved to {', '.join(names)}, and {last}.")
    else:
        messages.common(f"\nThe dumpfile is saved to {options.dump.dumpfile or 'STDOUT'}.")


def _dom0_log(parsed: ParsedArguments) -> Callable[[Messages], None]:
    from mdf.dmesg import cli
    from mdf.dmesg.options import Options

    options = Options.from_parsed(parsed)

    def run(messages: Messages) -> None:
        from mdf.xen.dom0 import open_kernel_of_dom0

        cli.run(options, messages, open_kernel_of_dom0)

    return run


def _hypervisor_log(options: XenOptions, messages: Messages) -> None:
    from mdf.xen.run import hypervisor_log, save_hypervisor_log

    target: Path | None = options.dump.dumpfile
    if target is None:
        sys.stdout.buffer.write(hypervisor_log(options))
        sys.stdout.buffer.flush()
    else:
        save_hypervisor_log(options, target)
    messages.common(f"\nThe dmesg log is saved to {target or 'STDOUT'}.")


COMMAND = Command("mdf-xen", "mdf.xen.manual:MANUAL", _prepare)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    return COMMAND.main(argv)
