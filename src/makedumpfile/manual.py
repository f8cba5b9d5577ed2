# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual of the command makedumpfile."""

from __future__ import annotations

from mdf.core.manual import CHECKING, DUMP_LEVELS, ENVIRONMENT, EXIT_STATUS, FILES, SEE_ALSO, Manual, Section
from mdf.core.options import Mode

MANUAL = Manual(
    name="makedumpfile",
    short="make a small dump file of a crashed kernel's memory",
    description="Makes a small dump file out of a crashed Linux kernel's memory image: leaves out pages that nobody "
    "needs for analysis, and compresses the rest.",
    usage=(
        "[OPTION...] VMCORE DUMPFILE",
        "-F [OPTION...] VMCORE > STREAM",
        "--split [OPTION...] VMCORE DUMPFILE DUMPFILE...",
        "--reassemble DUMPFILE... DUMPFILE",
        "-R DUMPFILE < STREAM",
        "--dump-dmesg [--partial-dmesg] VMCORE LOGFILE",
        "--check-dump [--json] DUMP...",
        "--mem-usage /proc/kcore",
        "--xen-dmesg --xen-syms XEN-SYMS VMCORE LOGFILE",
        "-g VMCOREINFO {-x VMLINUX | --xen-syms XEN-SYMS}",
    ),
    modes=Mode.ALL,
    sections=(
        DUMP_LEVELS,
        EXIT_STATUS,
        CHECKING,
        ENVIRONMENT,
        FILES,
        Section(
            "examples",
            """\
Save the memory of the kernel that crashed, in the capture kernel, without the pages that analysis does not need:

  makedumpfile -c -d 31 /proc/vmcore /var/crash/dump

The same, and keep more of it when there is room:

  makedumpfile -c -d 1,31 /proc/vmcore /var/crash/dump

An ELF file for gdb:

  makedumpfile -E -d 31 /proc/vmcore /var/crash/dump.elf

Make a dump smaller that was saved with fewer pages left out:

  makedumpfile -c -d 31 dump dump.small

Check the options of a configuration file without a crash:

  makedumpfile --check-params -c -d 31 vmcore dumpfile""",
        ),
        Section(
            "not there yet",
            "What this release cannot do yet ends with one line that says so, and status 1: what mdf-capture(8) names.",
        ),
        SEE_ALSO,
    ),
)
