# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands do, from options to a report: a dump, a dump in several files, the hypervisor's log."""

from __future__ import annotations

from pathlib import Path

from mdf.capture import capture
from mdf.capture.report import Report
from mdf.capture.sinks import FileSink, check_output
from mdf.core.dumps import open_dump
from mdf.core.errors import MissingInfoError, UsageError
from mdf.core.messages import Messages
from mdf.xen.analysis import XenAnalysis
from mdf.xen.console import console_symbols, read_console
from mdf.xen.hypervisor import Hypervisor
from mdf.xen.options import XenOptions
from mdf.xen.sources import required_info, with_sources_told_apart


def dump_host(options: XenOptions, messages: Messages | None = None) -> Report:
    """Makes the dump of a Xen host that `options` ask for. Raises MdfError.

    What is left of a dump that could not be finished is marked incomplete.
    """
    options = with_sources_told_apart(options)
    if options.split:
        from mdf.split.run import split

        return split(options.split, messages, XenAnalysis(options))
    return capture(options.dump, messages, XenAnalysis(options))


def hypervisor_log(options: XenOptions) -> bytes:
    """The text in the hypervisor's console ring. Raises MdfError."""
    options = with_sources_told_apart(options)
    if options.xen_syms is None:
        raise MissingInfoError(
            "The hypervisor does not say where its log is.", hint="Specify '--xen-syms' option: its symbols do."
        )
    symbols = console_symbols(options.xen_syms)
    with open_dump(*options.dump.vmcores) as dump:
        if not dump.xen:
            raise UsageError(f"{dump.source.path} is not Xen's memory core image.")
        return read_console(Hypervisor(dump, required_info(options, dump), options.xen_phys_start), symbols)


def save_hypervisor_log(options: XenOptions, logfile: Path) -> int:
    """Writes it to a new file; returns how many bytes. Raises MdfError."""
    for vmcore in options.dump.vmcores:
        check_output(logfile, vmcore, options.dump.force)
    text = hypervisor_log(options)
    sink = FileSink(logfile, force=options.dump.force)
    try:
        sink.write(0, [text])
    except BaseException:
        sink.abandon()
        raise
    sink.close()
    return len(text)
