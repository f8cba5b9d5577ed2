# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose a page of a Xen host is, page by page, in the simplest way there is. Apart from the code under test."""

from __future__ import annotations

from dataclasses import dataclass, field

from oracle.image import Image, Info

GIB = 1 << 30
PRESENT, LARGE, ADDRESS = 1, 1 << 7, 0x000FFFFFFFFFF000
LAYOUTS = {"old": (55, 57), "new": (58, 60)}  # The lower bit of the state; the broken bit.


@dataclass
class XenImage:
    """A Xen host of version 4 or later, whose frame table is at `frame_table`; `direct` is where memory is mapped."""

    image: Image
    info: Info
    phys_start: int
    frame_table: int
    direct: int = 0xFFFF830000000000
    pages: dict[int, bytes | None] = field(default_factory=dict)

    def physical(self, paddr: int, size: int) -> bytes | None:
        """Memory of the machine, within one page; None if the file has not all of it."""
        for load in self.image.loads:
            if load.paddr <= paddr and paddr + size <= load.paddr + load.filesz:
                start = load.offset + paddr - load.paddr
                return bytes(self.image.data[start : start + size])
        return None

    def translate(self, vaddr: int) -> int | None:
        """Virtual to machine address."""
        text = (self.info.symbol("domain_list") or 0) // GIB * GIB
        if text <= vaddr < text + GIB:
            return vaddr - text + self.phys_start
        table = (self.info.symbol("pgd_l4") or 0) - text + self.phys_start
        for shift in (39, 30, 21, 12):
            data = self.physical(table + (vaddr >> shift & 511) * 8, 8)
            entry = int.from_bytes(data or b"", "little")
            if not entry & PRESENT:
                return None
            if shift == 12 or (shift < 39 and entry & LARGE):
                return (entry & ADDRESS) // (1 << shift) * (1 << shift) + vaddr % (1 << shift)
            table = entry & ADDRESS
        return None

    def read(self, vaddr: int, size: int) -> bytes | None:
        """Virtual memory; None if any of it is not there."""
        data = b""
        while len(data) < size:
            start = (vaddr + len(data)) // 4096 * 4096
            if start not in self.pages:
                paddr = self.translate(start)
                self.pages[start] = None if paddr is None else self.physical(paddr, 4096)
            page = self.pages[start]
            if page is None:
                return None
            data += page[vaddr + len(data) - start :][: size - len(data)]
        return data

    def number(self, vaddr: int, size: int = 8) -> int:
        """An unsigned number, which must be there."""
        data = self.read(vaddr, size)
        assert data is not None, hex(vaddr)
        return int.from_bytes(data, "little")

    def dom0_owners(self) -> set[int]:
        """What page_info._domain has for domains with the number 0."""
        owners = set()
        domain = self.number(self.info.symbol("domain_list") or 0)
        while domain:
            if self.number(domain + (self.info.offset("domain.domain_id") or 0), 2) == 0:
                owners.add((domain - self.direct) // 4096)
            domain = self.number(domain + (self.info.offset("domain.next_in_list") or 0))
        return owners

    def kept(self, pfn: int, layout: str, dom0: set[int], index: int | None = None) -> bool:
        """Whether -X keeps a page; `index` is its place in the frame table, if not its number."""
        state, broken = LAYOUTS[layout]
        size = self.info.size("page_info")
        page = self.read(self.frame_table + (pfn if index is None else index) * size, size)
        if page is None:
            return False
        count_at, domain_at = self.info.offset("page_info.count_info") or 0, self.info.offset("page_info._domain") or 0
        count = int.from_bytes(page[count_at : count_at + 8], "little")
        domain = int.from_bytes(page[domain_at : domain_at + 4], "little")
        if count >> 62 & 1:
            return True
        if count >> state & 3 in (2, 3) or count >> broken & 1:
            return False
        return not count >> 63 or domain == 0 or domain in dom0


def xen_info(image: Image, name: str = "VMCOREINFO_XEN") -> Info:
    """The lines of the hypervisor's note."""
    data = bytes(image.data[: 1 << 20])
    position = data.index(name.encode() + b"\0")
    size = int.from_bytes(data[position - 8 : position - 4], "little")
    start = position + (len(name) + 1 + 3) // 4 * 4
    text = data[start : start + size].rstrip(b"\0").decode()
    return Info(dict(line.partition("=")[::2] for line in text.splitlines()))
