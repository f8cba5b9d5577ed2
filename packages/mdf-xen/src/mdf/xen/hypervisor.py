# SPDX-License-Identifier: GPL-2.0-or-later
"""The hypervisor's own memory, by its virtual addresses (x86_64)."""

from __future__ import annotations

from functools import cached_property

from mdf.core.arch.paging import Mapping, Walker, read_mapped
from mdf.core.arch.x86_64 import FOUR_LEVEL_TABLES
from mdf.core.dumps import Dump
from mdf.core.errors import AddressError, MissingInfoError, UnsupportedError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.xen.crash_info import CrashInfo
from mdf.xen.layouts import GIB, HYPERVISOR_END, HYPERVISOR_START, VirtualLayout, virtual_layout


class Hypervisor:
    """A dump of a Xen host, what the hypervisor says of itself, and `info`, its symbols and types.

    `phys_start` is where it is in memory, if not where its crash information says. Raises UnsupportedError for another
    machine than x86_64, MissingInfoError if its memory cannot be found with what is known.
    """

    def __init__(self, dump: Dump, info: Vmcoreinfo, phys_start: int = 0) -> None:
        if dump.machine != "x86_64":
            raise UnsupportedError(f"{dump.source.path}: Xen on the machine {dump.machine!r} is not supported.")
        self.dump = dump
        self.info = info
        self.crash = CrashInfo.of(dump)
        self.version = self.crash.version
        self._phys_start = phys_start or self.crash.xen_phys_start
        if not self._phys_start:
            raise MissingInfoError(
                "Can't get Xen physical start address.", hint="Please use the --xen_phys_start option."
            )
        # The image is mapped as a whole, in a range of 1 GiB that every variable is in.
        self._text = self.symbol("domain_list") & ~(GIB - 1)
        self.walker = Walker(FOUR_LEVEL_TABLES, self._in_text(self.symbol("pgd_l4")).paddr, dump.read)

    @cached_property
    def layout(self) -> VirtualLayout:
        """Where things are in the hypervisor's virtual memory."""
        # The symbol is of a variable in the image, as all of them, with the address.
        variable = self.info.symbol("frame_table")
        if variable is None:
            return virtual_layout(self.version, None)
        value = self.dump.read(self._in_text(variable).paddr, 8)
        return virtual_layout(self.version, int.from_bytes(value, self.dump.byteorder))

    def symbol(self, name: str) -> int:
        """The address of a variable. Raises MissingInfoError."""
        address = self.info.symbol(name)
        if address is None:
            raise MissingInfoError(
                f"Can't get the symbol of {name} of the hypervisor.",
                hint="Specify '--xen-syms' option or '--xen-vmcoreinfo' option.",
            )
        return address

    def size(self, structure: str) -> int:
        """The size of a structure in bytes. Raises MissingInfoError."""
        return self._known(self.info.size(structure), f"SIZE({structure})")

    def offset(self, member: str) -> int:
        """The offset of a member in bytes. Raises MissingInfoError."""
        return self._known(self.info.offset(member), f"OFFSET({member})")

    @staticmethod
    def _known(value: int | None, key: str) -> int:
        if value is None:
            raise MissingInfoError(f"The hypervisor's vmcoreinfo lacks {key}.")
        return value

    def read(self, vaddr: int, size: int) -> bytes:
        """`size` bytes at a virtual address of the hypervisor's. Raises AddressError."""
        return read_mapped(self._translate, self.dump.read, vaddr, size)

    def read_uint(self, vaddr: int, size: int) -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.read(vaddr, size), self.dump.byteorder)

    def read_pointer(self, vaddr: int) -> int:
        """A pointer (or unsigned long)."""
        return self.read_uint(vaddr, 8)

    def _translate(self, vaddr: int) -> Mapping:
        if self._text <= vaddr < self._text + GIB:
            return self._in_text(vaddr)
        if not HYPERVISOR_START <= vaddr < HYPERVISOR_END:
            raise AddressError(f"Virtual address {vaddr:#x} is none of the hypervisor's.")
        try:
            return self.walker.translate(vaddr)
        except AddressError:
            # All memory is mapped in one piece, unless there are large holes in it; the tables know of those.
            layout = self.layout
            if layout.directmap_start <= vaddr < layout.directmap_end:
                return Mapping(vaddr - layout.directmap_start, layout.directmap_end - vaddr)
            raise

    def _in_text(self, vaddr: int) -> Mapping:
        offset = vaddr - self._text
        if not 0 <= offset < GIB:
            raise AddressError(f"Virtual address {vaddr:#x} is not in the hypervisor's image.")
        return Mapping(offset + self._phys_start, GIB - offset)
