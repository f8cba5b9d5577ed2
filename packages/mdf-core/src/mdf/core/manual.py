# SPDX-License-Identifier: GPL-2.0-or-later
"""What a command says about itself: its help, and the text of its manual page. Only `-h` needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdf.core.options import Mode

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True)
class Section:
    """A section of a manual page. Lines of `text` that begin with a blank keep their form; others are filled."""

    heading: str
    text: str
    in_help: bool = False


@dataclass(frozen=True)
class Manual:
    """The manual of a command: `usage` in forms without the name, and the options of `modes`.

    `short` is what it does in a few words.
    """

    name: str
    short: str
    description: str
    usage: tuple[str, ...]
    modes: Mode
    sections: tuple[Section, ...] = ()

    def help_text(self) -> str:
        """The text of `-h`: usage, options, and the sections that belong there."""
        extra = "".join(f"\n{section.heading}:\n{section.text}\n" for section in self.sections if section.in_help)
        return self.parser().format_help() + extra

    def parser(self) -> argparse.ArgumentParser:
        """The options as an argparse parser, which makes the help and the manual page of them."""
        from mdf.core.help import parser

        return parser(self.name, self.description, self.usage, self.modes)


DUMP_LEVELS = Section(
    "dump levels",
    """\
LEVEL is the sum of the numbers of what to leave out:

   1  pages filled with zero
   2  cache pages without private data
   4  all cache pages
   8  pages of user processes
  16  free pages""",
    in_help=True,
)

EXIT_STATUS = Section(
    "exit status",
    """\
    0  all went well
    1  there was an error, or the dump is incomplete
    2  the kernel information is not that of the kernel that crashed
    3  not used any more: in older releases, memory that could not be analysed
  130  interrupted from the keyboard""",
)

CHECKING = Section(
    "checking a dump",
    """\
--check-dump says in one line on standard output "DUMP: sound", "DUMP: incomplete" or "DUMP: damaged" and why, with what
could not be checked at the end; all that was found is on standard error. The exit status is 0 for a sound dump, else 1.
With --json, standard output is one object instead:

  state         "sound", "incomplete" or "damaged"
  files, kind   what was checked, and its format
  pages         how many pages were read
  damage_count  how much damage there is; damage has the first lines of it
  missing       what an incomplete dump lacks
  unchecked     what could not be checked, as objects of what and why
  remarks       what is odd, but may be right""",
)

ENVIRONMENT = Section(
    "environment",
    """\
TMPDIR is the directory for the bitmap file, which is made when the bitmap is too large for memory, and has no name
as soon as it is open. The default is /tmp; --work-dir overrides it.

MDF_DEFLATE chooses what -c compresses with: libdeflate, zlib-ng or zlib, in this order by default, as far as they
are installed. All give what zlib reads, at most 2 % larger than zlib does; zlib gives the original's bytes.""",
)

FILES = Section(
    "files",
    """\
/proc/vmcore is the memory of the kernel that crashed, in the capture kernel. An ELF file of a hypervisor or of QEMU,
and a dump made before, serve as VMCORE as well.""",
)

SEE_ALSO = Section("see also", "makedumpfile(8), mdf-capture(8), kdump(8), crash(8), gdb(1), drgn(1)")
