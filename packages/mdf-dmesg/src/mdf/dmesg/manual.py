# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual of the command mdf-dmesg."""

from __future__ import annotations

from mdf.core.manual import EXIT_STATUS, FILES, SEE_ALSO, Manual, Section
from mdf.core.options import Mode

MANUAL = Manual(
    name="mdf-dmesg",
    short="take the kernel's log out of a vmcore",
    description="Writes the log of a crashed kernel to a text file, or, without LOGFILE, to standard output. The "
    "options are those of makedumpfile that concern this; -F writes the same text to standard output.",
    usage=("[OPTION...] VMCORE", "[OPTION...] VMCORE LOGFILE", "--json [OPTION...] VMCORE"),
    modes=Mode.DMESG,
    sections=(
        Section(
            "form",
            """\
A line begins with the seconds since boot and, if the kernel keeps it, the thread (T) or the processor (C) that the
record comes from. Other lines of the same record are indented. Bytes that cannot be printed are written as \\xNN.
Of a kernel before 3.5 the log is written as it is.

With --json, each record is a line with the values ts_nsec (nanoseconds since boot), caller and text. With one
operand and no -F, only the log and errors are printed.

Of a damaged log everything that is sound is written; what is not is said on standard error, and the status is 1.""",
            in_help=True,
        ),
        EXIT_STATUS,
        FILES,
        Section(
            "examples",
            """\
Save the log of the kernel that crashed, in the capture kernel, before the dump:

  mdf-dmesg /proc/vmcore /var/crash/dmesg

Look at what came after the log was last cleared:

  mdf-dmesg --partial-dmesg /var/crash/dump""",
        ),
        SEE_ALSO,
    ),
)
