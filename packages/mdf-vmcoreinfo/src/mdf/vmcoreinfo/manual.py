# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual of the command mdf-vmcoreinfo."""

from __future__ import annotations

from mdf.core.manual import EXIT_STATUS, SEE_ALSO, Manual, Section
from mdf.core.options import Mode

MANUAL = Manual(
    name="mdf-vmcoreinfo",
    short="write VMCOREINFO from debug information",
    description="Writes the kernel information that filtering needs, VMCOREINFO, from a kernel with debug information: "
    "for vmcores that lack it, with -i of makedumpfile. Types are taken from BTF where the kernel has it, else from "
    "DWARF 2 to 5.",
    usage=("VMLINUX [-o FILE] [--json | --missing]", "[OPTION...] -g VMCOREINFO {-x VMLINUX | --xen-syms XEN-SYMS}"),
    modes=Mode.GENERATE,
    sections=(
        Section(
            "with VMLINUX alone",
            """\
The lines go to standard output. An existing FILE is overwritten, as VMCOREINFO is.

  -o FILE    write to FILE
  --json     write what was found as JSON: the lines by key, which keys are missing, and what that costs
  --missing  write which lines this kernel lacks, and what each dump level loses by that""",
            in_help=True,
        ),
        Section(
            "files",
            """\
VMLINUX is the uncompressed kernel as an ELF file, of any machine: with a symbol table, the section .BTF or DWARF (also
compressed), and the kernel's data. SRCFILE(pud_t) is known only by DWARF. Page types, PAGE_BUDDY_MAPCOUNT_VALUE and the
like, are in no debug information; filtering takes them from the vmcore.

VMCOREINFO is written when all is known; it gets the permissions that the umask leaves.""",
        ),
        Section(
            "examples",
            """\
On the host that makes the initrd, with the kernel's debug package installed:

  mdf-vmcoreinfo -o vmcoreinfo /usr/lib/debug/boot/vmlinux-$(uname -r)

What dump levels will lose with a kernel of one's own:

  mdf-vmcoreinfo --missing vmlinux""",
        ),
        EXIT_STATUS,
        SEE_ALSO,
    ),
)
