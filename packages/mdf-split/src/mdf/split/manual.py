# SPDX-License-Identifier: GPL-2.0-or-later
"""The manuals of the commands mdf-split and mdf-reassemble."""

from __future__ import annotations

from mdf.core.manual import DUMP_LEVELS, ENVIRONMENT, EXIT_STATUS, FILES, SEE_ALSO, Manual, Section
from mdf.core.options import Mode

SPLIT = Manual(
    name="mdf-split",
    short="write one dump into several files",
    description="Makes a small dump of a crashed Linux kernel's memory image, in several files that are written at the "
    "same time, each with a part of the memory. VMCORE is read and filtered once. The files are best on different "
    "disks; mdf-reassemble makes one dump of them.",
    usage=("[OPTION...] VMCORE DUMPFILE DUMPFILE...",),
    modes=Mode.SPLIT,
    sections=(
        Section(
            "parts",
            """\
Memory is cut into blocks of 1 GiB, or as --splitblock-size says. Each file but the last takes blocks until it has its
share of the pages that are kept; small memory in large blocks may leave files without pages. All files have the
headers and bitmaps of the whole dump.

The files can be read without joining them: give each with --diskset to a command that reads a VMCORE.

When a file does not get all its pages, because its device is full or -L is reached, all are marked incomplete.""",
        ),
        DUMP_LEVELS,
        EXIT_STATUS,
        ENVIRONMENT,
        FILES,
        Section(
            "examples",
            """\
Save the memory of the kernel that crashed to three disks at once, and join the files later:

  mdf-split -c -d 31 /proc/vmcore /disk1/dump.1 /disk2/dump.2 /disk3/dump.3
  mdf-reassemble /disk1/dump.1 /disk2/dump.2 /disk3/dump.3 /var/crash/dump

Divide 4 GiB of memory evenly:

  mdf-split --splitblock-size 65536 -d 31 /proc/vmcore dump.1 dump.2""",
        ),
        SEE_ALSO,
    ),
)

REASSEMBLE = Manual(
    name="mdf-reassemble",
    short="join the files of a split dump",
    description="Makes one dump of the files that mdf-split has written: the last DUMPFILE. It is what a dump that was "
    "never split would be. The files may be given in any order; they stay.",
    usage=("[OPTION...] DUMPFILE... DUMPFILE",),
    modes=Mode.REASSEMBLE,
    sections=(
        Section(
            "checks",
            "All files must be of the same dump, none may be missing, and no page may be in two of them. Files that "
            "are marked incomplete make a dump that is.",
        ),
        EXIT_STATUS,
        ENVIRONMENT,
        Section("examples", "  mdf-reassemble dump.2 dump.1 dump.3 dump"),
        SEE_ALSO,
    ),
)
