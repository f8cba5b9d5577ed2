# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual of the command mdf-capture."""

from __future__ import annotations

from mdf.capture.options import NOT_YET
from mdf.core.manual import CHECKING, DUMP_LEVELS, ENVIRONMENT, EXIT_STATUS, FILES, SEE_ALSO, Manual, Section
from mdf.core.options import Mode

MANUAL = Manual(
    name="mdf-capture",
    short="make a small dump file of a crashed kernel's memory",
    description="Makes a small dump file out of a crashed Linux kernel's memory image: leaves out pages that nobody "
    "needs for analysis, and compresses the rest. The options are those of makedumpfile that concern this.",
    usage=(
        "[OPTION...] VMCORE DUMPFILE",
        "-F [OPTION...] VMCORE > STREAM",
        "--check-dump [--json] DUMP...",
        "--mem-usage /proc/kcore",
    ),
    modes=Mode.CAPTURE | Mode.CHECK | Mode.MEM_USAGE,
    sections=(
        DUMP_LEVELS,
        EXIT_STATUS,
        CHECKING,
        ENVIRONMENT,
        FILES,
        Section(
            "examples",
            """\
Save the memory of the kernel that crashed, in the capture kernel:

  mdf-capture -c -d 31 /proc/vmcore /var/crash/dump

An ELF file for gdb, and the report of what was left out:

  mdf-capture -E -d 31 --show-stats /proc/vmcore /var/crash/dump.elf""",
        ),
        Section(
            "not there yet",
            "What this release cannot do yet ends with one line that says so, and status 1:\n\n"
            + "\n".join(f"  {what}" for what in NOT_YET.values()),
        ),
        SEE_ALSO,
    ),
)
