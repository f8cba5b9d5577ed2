# SPDX-License-Identifier: GPL-2.0-or-later
"""What the memory in a dump says about the dump: the kernel's own copies of what the headers and notes tell."""

from __future__ import annotations

from mdf.capture.check.verdict import Findings
from mdf.core.dumps import Dump
from mdf.core.errors import MdfError
from mdf.core.formats.diskdump import names_kernel
from mdf.core.kernel import open_kernel
from mdf.core.messages import Messages

_BEGINNING = b"OSRELEASE="
_NOTE_HEADER = 24  # Three words, and the name "VMCOREINFO" padded to 12 bytes.


class VmcoreinfoCopies:
    """Looks for the kernel's own copies of VMCOREINFO among the pages: alone at the start of one, or as a note."""

    def __init__(self, dump: Dump) -> None:
        self._text = dump.notes.vmcoreinfo or b""
        self._found = self._same = False

    def see(self, page: bytes | bytearray) -> None:
        """Looks at a page."""
        for at in (0, _NOTE_HEADER):
            if page.startswith(_BEGINNING, at):
                self._found = True
                size = min(len(page) - at, len(self._text))
                self._same |= page[at : at + size] == self._text[:size]

    def report(self, findings: Findings) -> None:
        """Adds damage if there are copies, and none is like the note."""
        if self._found and not self._same:
            findings.expect(not self._text, "the VMCOREINFO note differs from the kernel's own in memory")
        elif self._text and not self._found:
            findings.unchecked.append(("VMCOREINFO", "the kernel's own copy is at the start of no page"))


def check_memory(dump: Dump, findings: Findings) -> None:
    """Reads the kernel's name in memory as the dump says where it is, and compares."""
    what = "the kernel's name in memory"
    if dump.xen:
        findings.unchecked.append((what, "it is a Xen host's, whose domain 0 has addresses of its own"))
        return
    try:
        kernel = open_kernel(dump, Messages(0))
    except MdfError as error:
        findings.unchecked.append((what, str(error)))
        return
    if kernel is None:
        findings.unchecked.append((what, "nothing says where the kernel is: no VMCOREINFO"))
    elif names_kernel(dump.utsname):
        findings.expect(kernel.utsname == dump.utsname, "main header: utsname differs from the kernel's own in memory")
