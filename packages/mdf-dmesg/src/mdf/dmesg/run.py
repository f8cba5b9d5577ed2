# SPDX-License-Identifier: GPL-2.0-or-later
"""From a vmcore to the text of its log: open, find the log, write its records, say what was not sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdf.core.dumps import Dump, expect_linux, open_dump
from mdf.core.errors import MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import Kernel, given_info, open_kernel
from mdf.core.messages import Messages
from mdf.dmesg.log import read_log
from mdf.dmesg.options import Options
from mdf.dmesg.output import Output, check_output
from mdf.dmesg.record import Damage
from mdf.dmesg.text import TextFormat, as_json


@dataclass(frozen=True)
class LogReport:
    """What was written: `records` in number and `written` bytes of them, to what messages call `name`."""

    name: str
    records: int
    written: int
    damage: Damage


def open_linux(dump: Dump, messages: Messages, given: Vmcoreinfo | None) -> Kernel | None:
    """The kernel of a dump of Linux. Raises MdfError."""
    expect_linux(dump)
    return open_kernel(dump, messages, given=given)


OpenKernel = Callable[[Dump, Messages, Vmcoreinfo | None], Kernel | None]


def save_log(options: Options, messages: Messages | None = None, open_: OpenKernel = open_linux) -> LogReport:
    """Writes the log that `options` ask for, of the kernel that `open_` finds in the dump. Raises MdfError.

    Of a damaged log everything sound is written, and the report says what is not. An output that could not be finished
    keeps what was written.
    """
    messages = messages or Messages(0)
    if options.logfile is not None:
        for vmcore in options.vmcores:
            check_output(options.logfile, vmcore, options.force)
    given = given_info(options.vmlinux, options.vmcoreinfo)
    with open_dump(*options.vmcores, given=given, mapped=not options.non_mmap) as dump:
        log = read_log(_kernel(dump, given, messages, open_), partial=options.partial)
        if options.partial and not log.is_partial:
            messages.common("The kernel does not say when its log was last cleared: all of it is taken.")
        as_line = as_json if options.json else TextFormat(dump.machine)
        output = Output(options.logfile, force=options.force, limit=options.size_limit)
        records = 0
        try:
            with output:
                for record in log:
                    output.write(as_line(record))
                    records += 1
        except BaseException:
            messages.error(f"{output.name} is not complete.")
            raise
    return LogReport(output.name, records, output.written, log.damage)


def _kernel(dump: Dump, given: Vmcoreinfo | None, messages: Messages, open_: OpenKernel) -> Kernel:
    path = dump.source.path
    if dump.incomplete:
        messages.common(f"{path} is an incomplete dump: pages are missing in it.")
    kernel = open_(dump, messages, given)
    if kernel is None:
        raise MissingInfoError(f"{path} doesn't contain vmcoreinfo.", hint="Specify '-x' option or '-i' option.")
    return kernel
