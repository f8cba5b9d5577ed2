# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashed kernel: its memory by virtual address, and what it says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mdf.core.arch import ARCHITECTURES, Architecture, Machine, architecture_of
from mdf.core.arch.machine import utsname_address
from mdf.core.arch.paging import Step, read_mapped
from mdf.core.dumps import Dump
from mdf.core.errors import AddressError, FormatError
from mdf.core.formats.diskdump import UTSNAME_RELEASE, UTSNAME_SIZE, utsname_field
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel.sources import is_of, kernel_info, mismatch
from mdf.core.messages import Messages
from mdf.core.release import NEWEST_KNOWN, OLDEST_KNOWN, Release

# Larger than any structure or table. Memory that the dump has no data of reads as zeros: no file bounds such a read.
_READ_MAX = 64 << 20


class Kernel:
    """A dump, the kernel's information, and its machine.

    `utsname` is the raw structure of the crashed kernel (390 bytes), `release` its release number, `byteorder` that of
    its memory, which is not that of the file around it in each dump.
    Raises MissingInfoError, UnsupportedError or AddressError if the kernel's memory cannot be read with it.
    """

    def __init__(self, dump: Dump, info: Vmcoreinfo, architectures: Mapping[str, Architecture] = ARCHITECTURES) -> None:
        self.dump = dump
        self.info = info
        architecture = architecture_of(dump, architectures)
        self.byteorder = architecture.byteorder(dump, info)
        self.machine: Machine = architecture.machine(dump, info)
        self.utsname = self._read_utsname()
        self.release = self._release()

    def read(self, vaddr: int, size: int) -> bytes:
        """`size` bytes at a kernel virtual address. Raises AddressError, and FormatError for more than is ever read."""
        if size > _READ_MAX:
            raise FormatError(f"Impossible size: {size:#x} bytes at {vaddr:#x}.")
        return read_mapped(self.machine.translate, self._read_physical, vaddr, size)

    def _read_physical(self, paddr: int, size: int) -> bytes:
        return self.dump.read(self.machine.physical(paddr), size)

    def read_uint(self, vaddr: int, size: int) -> int:
        """An unsigned integer of `size` bytes."""
        return int.from_bytes(self.read(vaddr, size), self.byteorder)

    def read_pointer(self, vaddr: int) -> int:
        """A pointer (or unsigned long)."""
        return self.read_uint(vaddr, self.dump.bits // 8)

    def is_kernel_address(self, vaddr: int) -> bool:
        """Whether an address can be one of the kernel's."""
        return self.machine.kernel_base <= vaddr < 1 << self.dump.bits

    def trace(self, vaddr: int, see: Callable[[Step], None]) -> int:
        """The physical address of `vaddr`, showing each table entry on the way. Raises AddressError."""
        return self.machine.translate(vaddr, see).paddr

    def _read_utsname(self) -> bytes:
        address = utsname_address(self.info)
        try:
            return self.read(address, UTSNAME_SIZE)
        except AddressError as error:
            raise AddressError(
                f"Can't read the kernel's name (utsname): {error}",
                hint="The page tables don't lead there: is the kernel information that of the crashed kernel?",
            ) from error

    def _release(self) -> Release:
        text = utsname_field(self.utsname, UTSNAME_RELEASE)
        try:
            return Release.parse(text)
        except FormatError as error:
            raise FormatError(
                f"What should be the kernel's release in memory is {text[:64]!r}.",
                hint="Is the kernel information that of the crashed kernel?",
            ) from error


def open_kernel(
    dump: Dump,
    messages: Messages,
    architectures: Mapping[str, Architecture] = ARCHITECTURES,
    given: Vmcoreinfo | None = None,
) -> Kernel | None:
    """The kernel of a dump by what is known of it (see `kernel_info`); None if nothing is.

    At the debug level the VMCOREINFO is printed, two blanks before each line: SUSE's scripts read two of them there.
    A kernel that is newer or older than those known gets a warning. Raises MismatchError if `given` is of another
    kernel, and what `Kernel` raises.
    """
    info = kernel_info(dump, given, messages)
    if info is None:
        return None
    for key, value in info.values.items():
        messages.debug(f"  {key}={value}")
    kernel = Kernel(dump, info, architectures)
    if given and not is_of(given, kernel.utsname):
        raise mismatch(given, dump, utsname_field(kernel.utsname, UTSNAME_RELEASE))
    if not OLDEST_KNOWN <= kernel.release <= NEWEST_KNOWN:
        messages.common("The kernel version is not supported.")
        messages.common("The makedumpfile operation may be incomplete.")
    return kernel
