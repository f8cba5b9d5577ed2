# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a log's memory: variables, members of structures, and rings that may lie in pages the dump does not have."""

from __future__ import annotations

from dataclasses import dataclass

from mdf.core.dumps import Dump, ElfDump
from mdf.core.errors import AddressError, FormatError, InputError, MissingInfoError
from mdf.core.formats.diskdump import DESCRIPTOR_SIZE
from mdf.core.kernel import Kernel

_STRUCTURE_MAX = 4096
_RING_MAX = 1 << 31  # The kernel's own LOG_BUF_LEN_MAX.
_PAGES_KEPT = 64


def variable(kernel: Kernel, name: str, size: int) -> int:
    """The value of a variable of `size` bytes. Raises MissingInfoError, AddressError."""
    address = kernel.info.symbol(name)
    if address is None:
        raise MissingInfoError(f"Can't find some symbols for log_buf: vmcoreinfo has no SYMBOL({name}).")
    return int.from_bytes(read(kernel, address, size, name), kernel.byteorder)


def read(kernel: Kernel, address: int, size: int, what: str) -> bytes:
    """`size` bytes, which are `what`. Raises AddressError."""
    try:
        return kernel.read(address, size)
    except (AddressError, FormatError, InputError) as error:
        raise AddressError(f"Can't read {what} at {address:#x}: {error}") from error


@dataclass(frozen=True)
class Field:
    """An unsigned integer in a structure: its offset and width in bytes."""

    offset: int
    width: int


class Structure:
    """A structure of the kernel. Raises MissingInfoError if its size is not known, FormatError if it cannot be."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self._kernel = kernel
        self.name = name
        size = kernel.info.size(name)
        if size is None:
            raise MissingInfoError(f"Can't get necessary structures of the log: vmcoreinfo has no SIZE({name}).")
        if not 0 < size <= _STRUCTURE_MAX:
            raise FormatError(f"Invalid data in vmcoreinfo: SIZE({name})={size}")
        self.size = size

    def field(self, width: int, *path: str) -> Field:
        """The member that `path` leads to, through members that are structures themselves."""
        known = [(member, self._kernel.info.offset(member)) for member in path]
        for member, offset in known:
            if offset is None:
                raise MissingInfoError(
                    f"Can't get necessary structures of the log: vmcoreinfo has no OFFSET({member})."
                )
        offset = sum(offset or 0 for _, offset in known)
        if offset + width > self.size:
            raise FormatError(f"Invalid data in vmcoreinfo: {path[-1]} is outside of {self.name}.")
        return Field(offset, width)

    def value(self, data: bytes, field: Field) -> int:
        """A member's value in `data`, the bytes of the structure."""
        return int.from_bytes(data[field.offset : field.offset + field.width], self._kernel.byteorder)


def _held(dump: Dump) -> int:
    """The bytes of memory that a dump can have, by the size of its file: a page takes at least a descriptor."""
    size = dump.source.file_size
    return size if isinstance(dump, ElfDump) else size // DESCRIPTOR_SIZE * dump.page_size


class Region:
    """The kernel memory [address, address + size), read page by page as it is needed.

    A page that the dump does not have costs only what lies in it. Raises FormatError for a size that no ring has.
    """

    def __init__(self, kernel: Kernel, address: int, size: int, what: str) -> None:
        dump = kernel.dump
        if not 0 < size <= min(_RING_MAX, _held(dump)) or address + size > 1 << dump.bits:
            raise FormatError(f"Impossible {what}: {size:#x} bytes at {address:#x}.")
        self._kernel, self._address, self.size, self._what = kernel, address, size, what
        self._pages: dict[int, bytes | None] = {}

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes within the region. Raises AddressError if they are not in the dump."""
        if not 0 <= offset <= offset + size <= self.size:
            raise AddressError(f"{offset:#x} is outside of the {self._what}")
        page_size = self._kernel.dump.page_size
        start, end = self._address + offset, self._address + offset + size
        pieces = []
        while start < end:
            number, at = divmod(start, page_size)
            page = self._page(number)
            if page is None:
                raise AddressError(f"the {self._what} is not in the dump at {start:#x}")
            pieces.append(page[at : at + end - start])
            start += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def uint(self, offset: int, width: int) -> int:
        """An unsigned integer of `width` bytes."""
        return int.from_bytes(self.read(offset, width), self._kernel.byteorder)

    def _page(self, number: int) -> bytes | None:
        if number not in self._pages:
            if len(self._pages) == _PAGES_KEPT:
                self._pages.clear()
            page_size = self._kernel.dump.page_size
            try:
                self._pages[number] = self._kernel.read(number * page_size, page_size)
            except (AddressError, FormatError, InputError):
                self._pages[number] = None
        return self._pages[number]
