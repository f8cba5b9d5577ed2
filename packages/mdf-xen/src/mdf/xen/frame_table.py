# SPDX-License-Identifier: GPL-2.0-or-later
"""The hypervisor's array of struct page_info, one for each page frame of the machine."""

from __future__ import annotations

from mdf.capture.columns import Columns
from mdf.core.errors import AddressError, FormatError
from mdf.xen.hypervisor import Hypervisor
from mdf.xen.pdx import PageIndexes

_PAGE = 1 << 12
_SIZE_MAX = 256


class PageInfos(Columns):
    """The struct page_info of the page frames [pfn, pfn + count). `unreadable` is the mask of those that don't exist.

    What is read of such a one is zeros.
    """

    def __init__(self, data: bytes, unreadable: int, table: FrameTable) -> None:
        super().__init__(data, table.size, "little")
        self.unreadable = unreadable
        self._table = table

    def count_info(self, bit: int) -> int:
        """A bit of count_info, an unsigned long."""
        return self.bit(self._table.count_info, 8, bit)

    def counted_as(self, bits: int) -> int:
        """Whether any of `bits`, a mask of bits, is set in count_info."""
        return self.any_bit(self._table.count_info, 8, bits)

    def owned_by(self, pickled: int) -> int:
        """Whether _domain, the owner, is this one (32 bits; 0 is nobody)."""
        return self.equals(self._table.domain, 4, pickled)


class FrameTable:
    """Reads struct page_info. `size` is that of one, in bytes; `count_info` and `domain` are offsets in it."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._indexes = PageIndexes.of(hypervisor)
        self.size = hypervisor.size("page_info")
        self.count_info = hypervisor.offset("page_info.count_info")
        self.domain = hypervisor.offset("page_info._domain")
        if self.size > _SIZE_MAX or not max(self.count_info + 8, self.domain + 4) <= self.size:
            raise FormatError(
                f"Invalid data in the hypervisor's vmcoreinfo: SIZE(page_info)={self.size}, count_info at "
                f"{self.count_info}, _domain at {self.domain}."
            )

    def read(self, start: int, end: int) -> PageInfos:
        """The struct page_info of the page frames [start, end)."""
        data, missing = bytearray(), bytearray(end - start)
        for first, last, index in self._indexes.runs(start, end):
            address = self._hypervisor.layout.frame_table + index * self.size
            try:
                data += self._hypervisor.read(address, (last - first) * self.size)
            except AddressError:
                data += self._read_pages(address, last - first, memoryview(missing)[first - start : last - start])
        return PageInfos(bytes(data), int.from_bytes(missing, "little"), self)

    def _read_pages(self, address: int, count: int, missing: memoryview) -> bytes:
        """Reads page by page; of structures that are in a page that can't be read, `missing` is set."""
        data, end = bytearray(count * self.size), address + count * self.size
        at = address
        while at < end:
            upto = min((at | _PAGE - 1) + 1, end)
            try:
                data[at - address : upto - address] = self._hypervisor.read(at, upto - at)
            except AddressError:
                first, last = (at - address) // self.size, -(-(upto - address) // self.size)
                missing[first:last] = b"\x01" * (last - first)
            at = upto
        return bytes(data)
