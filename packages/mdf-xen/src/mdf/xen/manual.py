# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual of the command mdf-xen."""

from __future__ import annotations

from mdf.core.manual import DUMP_LEVELS, ENVIRONMENT, EXIT_STATUS, FILES, SEE_ALSO, Manual, Section
from mdf.core.options import Mode

MANUAL = Manual(
    name="mdf-xen",
    short="make a small dump file of a Xen host's memory",
    description="Makes a small dump file out of the memory image of a crashed Xen host: leaves out the pages of all "
    "domains but domain 0, and pages of domain 0 that nobody needs for analysis, and compresses the rest. "
    "The options are those of makedumpfile, which calls this for the dump of a Xen host.",
    usage=(
        "[OPTION...] VMCORE DUMPFILE",
        "-F [OPTION...] VMCORE > STREAM",
        "--split [OPTION...] VMCORE DUMPFILE DUMPFILE...",
        "--dump-dmesg [--partial-dmesg] VMCORE LOGFILE",
        "--xen-dmesg --xen-syms XEN-SYMS VMCORE LOGFILE",
    ),
    modes=Mode.XEN | Mode.CAPTURE | Mode.SPLIT | Mode.DMESG,
    sections=(
        DUMP_LEVELS,
        Section(
            "domains",
            """\
Dump levels above 1 are for domain 0's kernel, and need what is known of that: -x or -i, unless VMCORE has it. -X
looks at the hypervisor's own record of each page: it keeps the pages of the hypervisor, those of domain 0 and those
that nobody owns, and leaves out what is free. What it needs of the hypervisor is in VMCORE; where it is not, --xen-syms
or --xen-vmcoreinfo (or -i: which of the two a file is for is told by its lines) brings it.

The hypervisor's marks of free pages moved in June 2022, also in older releases that got the fix. Which form it is,
is told by the pages themselves, else by the version, and printed; --xen-page-state overrides it.""",
        ),
        EXIT_STATUS,
        ENVIRONMENT,
        FILES,
        Section(
            "examples",
            """\
Save the hypervisor and domain 0, without free pages, in the capture kernel:

  mdf-xen -c -X -d 1 /proc/vmcore /var/crash/dump

Leave out more of domain 0, by its vmlinux:

  mdf-xen -c -X -d 31 -x vmlinux /proc/vmcore /var/crash/dump

Look at what the hypervisor said before it crashed:

  mdf-xen --xen-dmesg --xen-syms xen-syms /proc/vmcore /dev/stdout""",
        ),
        SEE_ALSO,
    ),
)
