# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the dump of a Xen host: the hypervisor with frame table and domains, and domain 0's Linux in scattered blocks.

Memory is made of blocks of 2 MiB. The hypervisor has one of its own, with all that it keeps; domain 0's blocks are
those of a Linux machine that the factory builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from factory.elf import ElfStyle, Segment, write_elf
from factory.layout import ByteOrder
from factory.memory import Memory
from factory.notes import note_bytes, prstatus
from factory.paging import ADDRESS, LARGE, PageTables
from factory.spec import Note, Spec
from factory.vmcore import Vmcore

BLOCK = 512  # pages
PAGE = 4096
GIB = 1 << 30
P2M_LEAVES = 256  # of 2 MiB: what domain 0 could have.
INVALID, FOREIGN, IDENTITY = (1 << 64) - 1, 1 << 63, 1 << 62
HEAP, ALLOCATED = 1 << 62, 1 << 63
DOMAINS = {"dom0": 0, "domU": 1, "other": 2, "dom_xen": 0x7FF2, "dom_io": 0x7FF1}
PSEUDO = ("dom_xen", "dom_io")  # In no list.


@dataclass(frozen=True)
class PageInfo:
    """What the hypervisor keeps of a page: count_info, and the domain that owns it."""

    count: int
    owner: str | None = None


@dataclass(frozen=True, kw_only=True)
class XenSpec:
    """A host. Blocks are numbers of 2 MiB; `xen` is the hypervisor's, `guests` hold pages of domU.

    `pages` says what differs from that. `unmapped` are pages whose page_info does not exist. `hole` are address bits
    that no memory has, as (lowest bit of a page frame number, bits): indexes are without them.
    `dom0` has its blocks at `dom0_blocks`; `p2m` has entries that differ.
    """

    version: tuple[int, int] = (4, 20)
    extra: str = ".0"
    crash_info: int = 2
    xen: int = 4
    guests: tuple[int, ...] = (6,)
    pages: Mapping[int, PageInfo] = field(default_factory=dict)
    unmapped: frozenset[int] = frozenset()
    hole: tuple[int, int] = (64, 0)
    bigmem: bool = False
    dom0: Vmcore | None = None
    dom0_blocks: tuple[int, ...] = ()
    dom0_note: bool = False
    p2m: Mapping[int, int] = field(default_factory=dict)
    domains: tuple[str, ...] = ("dom0", "domU", "other")
    notes: bool = True
    frame_table_symbol: bool = True
    after_domid: int = 0xBEEF
    console: bytes = b"(XEN) Xen says hello\n"

    @property
    def text(self) -> int:
        """Where the image is mapped."""
        return 0xFFFF82D040000000 if self.version >= (4, 14) else 0xFFFF82C480000000

    @property
    def direct(self) -> int:
        """Where all memory is mapped."""
        return 0xFFFF848000000000 if self.bigmem else 0xFFFF830000000000

    @property
    def frame_table(self) -> int:
        """The array of struct page_info."""
        if self.bigmem:
            return 0xFFFF830000000000
        return 0xFFFF82E000000000 if self.version >= (4, 3) else 0xFFFF82F600000000

    @property
    def blocks(self) -> tuple[int, ...]:
        """All memory."""
        return tuple(sorted({0, self.xen, *self.guests, *self.dom0_blocks, *(pfn // BLOCK for pfn in self.pages)}))

    def index(self, pfn: int) -> int:
        """The page's place in the frame table."""
        bit, bits = self.hole
        return pfn & (1 << bit) - 1 | pfn >> bits & -(1 << bit)


class XenHost:
    """The memory of a host, and the file that is its dump."""

    page_size = PAGE
    byteorder: ByteOrder = "little"
    bits = 64

    def __init__(self, xen: XenSpec) -> None:
        self.xen = xen
        self.spec = Spec()
        first = xen.xen * BLOCK
        self.phys_start = first * PAGE
        self.memory = Memory(PAGE, "little", 8, free=list(range(first, first + BLOCK)))
        self.image = self.memory.allocate(2 * PAGE)
        self.used = 0x100
        self.symbols: dict[str, int] = {}
        root = self.memory.allocate(PAGE)
        self.symbols["pgd_l4"] = self.virtual(root)
        self.tables = PageTables(self.memory, root, 4)
        for block in xen.blocks:
            pfn = block * BLOCK
            self.tables.map(xen.direct + xen.index(pfn) * PAGE, pfn * PAGE, BLOCK * PAGE, "2M")
        self.addresses = {name: self._domain() for name in DOMAINS if name in (*xen.domains, *PSEUDO)}
        self._link_domains()
        self.dom0_pages = self._dom0_pages()
        self.frame_list_list = self._p2m() if xen.dom0 else 0
        self._variables()
        self._frame_table()

    # The hypervisor's memory.

    def virtual(self, paddr: int) -> int:
        """The address in the image's range."""
        return self.xen.text + paddr - self.phys_start

    def directmap(self, paddr: int) -> int:
        """The address where all memory is mapped."""
        return self.xen.direct + self.xen.index(paddr // PAGE) * PAGE + paddr % PAGE

    def variable(self, name: str, value: int, size: int = 8) -> None:
        """A variable of the hypervisor's."""
        self.memory.write_integer(self.image + self.used, value, size)
        self.symbols[name] = self.virtual(self.image + self.used)
        self.used += 16

    def _domain(self) -> int:
        return self.memory.allocate(PAGE)

    def _link_domains(self) -> None:
        listed = [name for name in self.xen.domains if name not in PSEUDO]
        for name, paddr in self.addresses.items():
            self.memory.write_integer(paddr, DOMAINS[name], 2)
            # domid_t has 16 bits; what follows is another member.
            self.memory.write_integer(paddr + 2, self.xen.after_domid, 2)
        for name, following in zip(listed, [*listed[1:], ""], strict=True):
            address = self.directmap(self.addresses[following]) if following else 0
            self.memory.write_integer(self.addresses[name] + 144, address, 8)
        self.variable("domain_list", self.directmap(self.addresses[listed[0]]))
        for name in PSEUDO:
            self.variable(name, self.directmap(self.addresses[name]))

    def _variables(self) -> None:
        top = (max(self.xen.blocks) + 1) * BLOCK
        self.variable("max_page", top)
        if self.xen.frame_table_symbol:
            self.variable("frame_table", self.xen.frame_table)
        ring = self.memory.allocate(PAGE)
        written = self.xen.console[-PAGE:]
        start = len(self.xen.console) - len(written)
        for number, byte in enumerate(written, start):
            self.memory.write(ring + number % PAGE, bytes([byte]))
        self.variable("conring", self.directmap(ring))
        self.variable("conring_size", PAGE, 4)
        self.variable("conringp", len(self.xen.console), 4)
        if self.xen.version < (4, 0):
            bitmap = self.memory.allocate(-(-top // 8))
            for pfn in range(top):
                if self.page_info(pfn).count >> 32 != 1:  # A mark of this factory: not allocated.
                    at = bitmap + pfn // 8
                    self.memory.write_integer(at, self.memory.read(at, 1)[0] | 1 << pfn % 8, 1)
            self.variable("alloc_bitmap", self.directmap(bitmap))
            self.variable("xenheap_phys_end", (self.xen.xen + 1) * BLOCK * PAGE)
        self.extra_version = self.image + 0x1000
        self.memory.write(self.extra_version, self.xen.extra.encode() + b"\0")

    def page_info(self, pfn: int) -> PageInfo:
        """What the hypervisor keeps of a page."""
        if pfn in self.xen.pages:
            return self.xen.pages[pfn]
        if pfn // BLOCK == self.xen.xen:
            return PageInfo(HEAP | ALLOCATED | 1)
        if pfn // BLOCK in self.xen.guests:
            return PageInfo(ALLOCATED | 1, "domU")
        return PageInfo(ALLOCATED | 1, "dom0") if pfn // BLOCK in self.xen.dom0_blocks else PageInfo(0)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Size of struct page_info, offsets of count_info and _domain."""
        return (32, 8, 24) if self.xen.version >= (4, 0) else (40, 16, 20)

    def pickled(self, owner: str | None) -> int:
        """The owner as _domain has it."""
        if owner is None:
            return 0
        address = self.directmap(self.addresses[owner])
        return (address - self.xen.direct) // PAGE if self.xen.version >= (3, 4) else address & 0xFFFFFFFF

    def _frame_table(self) -> None:
        size, count_at, domain_at = self.sizes
        count_size = 8 if self.xen.version >= (4, 0) else 4
        pages: dict[int, bytearray] = {}
        absent = set()
        for pfn in (pfn for block in self.xen.blocks for pfn in range(block * BLOCK, (block + 1) * BLOCK)):
            start = self.xen.frame_table + self.xen.index(pfn) * size
            if pfn in self.xen.unmapped:
                absent |= {start // PAGE, (start + size - 1) // PAGE}
            info, data = self.page_info(pfn), bytearray(size)
            data[count_at : count_at + count_size] = (info.count & (1 << 8 * count_size) - 1).to_bytes(
                count_size, "little"
            )
            data[domain_at : domain_at + 4] = self.pickled(info.owner).to_bytes(4, "little")
            for at, byte in enumerate(data, start):
                pages.setdefault(at // PAGE, bytearray(PAGE))[at % PAGE] = byte
        self.absent = absent
        for page, data in pages.items():
            if page not in absent:
                paddr = self.memory.allocate(PAGE)
                self.memory.write(paddr, bytes(data))
                self.tables.map(page * PAGE, paddr, PAGE, "4K")

    # Domain 0.

    def frame(self, pfn: int) -> int:
        """Where domain 0's page is in the machine; INVALID for none."""
        block = pfn // BLOCK
        return self.xen.dom0_blocks[block] * BLOCK + pfn % BLOCK if block < len(self.xen.dom0_blocks) else INVALID

    def _dom0_pages(self) -> dict[int, bytes]:
        linux = self.xen.dom0
        if linux is None:
            return {}
        pages = {self.frame(pfn): linux.page(pfn) for pfn in linux.ram_pfns}
        assert linux.machine.tables is not None
        self._translate_tables(linux, pages, linux.machine.tables.root // PAGE, 4)
        return pages

    def _translate_tables(self, linux: Vmcore, pages: dict[int, bytes], pfn: int, level: int) -> None:
        """What page tables have, are the machine's addresses."""
        entries, own = linux.page(pfn), bytearray()
        for at in range(0, PAGE, 8):
            entry = int.from_bytes(entries[at : at + 8], "little")
            if entry & 1:
                target = (entry & ADDRESS) // PAGE
                if level > 1 and not entry & LARGE:
                    self._translate_tables(linux, pages, target, level - 1)
                # A large page of memory that is not there has no frame.
                frame = self.frame(target)
                entry = entry & ~ADDRESS | (frame * PAGE if frame != INVALID else 0)
            own += entry.to_bytes(8, "little")
        pages[self.frame(pfn)] = bytes(own)

    def _p2m(self) -> int:
        size = len(self.xen.dom0_blocks) * BLOCK
        leaves = []
        for start in range(0, size, 512):
            values = [self.xen.p2m.get(pfn, self.frame(pfn)) for pfn in range(start, start + 512)]
            leaves.append(self._list(values))
        # Linux's list goes on, with one leaf for all that is missing.
        missing = self._list([INVALID] * 512)
        return self._list([self._list(leaves + [missing] * (P2M_LEAVES - len(leaves)))])

    def _list(self, values: list[int]) -> int:
        paddr = self.memory.allocate(PAGE)
        for number, value in enumerate(values):
            self.memory.write_integer(paddr + 8 * number, value, 8)
        return paddr // PAGE

    # The file.

    def page(self, pfn: int) -> bytes:
        """The bytes of a page of the machine."""
        written = self.memory.pages.get(pfn)
        if written is not None:
            return bytes(written)
        return self.dom0_pages.get(pfn) or (pfn + 1).to_bytes(8, "little") * (PAGE // 8)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The PT_LOADs; the first one ends within a page, as on every PC."""
        loads = [Segment(0xFFFF888000000000, 0, 0x9FC00, 0x9FC00)]
        for block in self.xen.blocks[1:]:
            start, size = block * BLOCK * PAGE, BLOCK * PAGE
            loads.append(Segment(0xFFFF888000000000 + start, start, size, size))
        return tuple(loads)

    @property
    def ram_pfns(self) -> list[int]:
        """The page frames of all segments."""
        return [
            pfn for load in self.segments for pfn in range(load.paddr // PAGE, -(-(load.paddr + load.memsz) // PAGE))
        ]

    @property
    def vmcoreinfo_xen(self) -> str:
        """The text of the hypervisor's note."""
        size, count_at, domain_at = self.sizes
        hidden = ("conring", "conring_size", "conringp")
        lines = [f"SYMBOL({name})={address:x}" for name, address in self.symbols.items() if name not in hidden]
        lines += [f"SIZE(page_info)={size}", "SIZE(domain)=2304", f"OFFSET(page_info.count_info)={count_at}"]
        lines += [
            f"OFFSET(page_info._domain)={domain_at}",
            "OFFSET(domain.domain_id)=0",
            "OFFSET(domain.next_in_list)=144",
        ]
        return "\n".join(["PAGESIZE=4096", *lines]) + "\n"

    def crash_info(self) -> bytes:
        """The array of the note XEN_ELFNOTE_CRASH_INFO."""
        words = [*self.xen.version, self.extra_version, 0, 0, 0, 0, 1]
        words += {0: [], 1: [self.frame_list_list], 2: [self.phys_start, self.frame_list_list]}[self.xen.crash_info]
        return b"".join(word.to_bytes(8, "little") for word in words)

    def notes(self, _byteorder: str | None = None) -> bytes:
        """The note segment."""
        notes = [prstatus(0, 64), Note("Xen", 0x1000002, bytes(32)), Note("Xen", 0x1000001, self.crash_info())]
        notes.append(prstatus(1, 64))
        if self.xen.notes:
            notes.append(Note("VMCOREINFO_XEN", 0, self.vmcoreinfo_xen.encode().ljust(0xFE4, b"\0")))
        if self.xen.dom0_note and self.xen.dom0:
            notes.append(Note("VMCOREINFO", 0, self.xen.dom0.vmcoreinfo.encode()))
        return b"".join(note_bytes(note, "little") for note in notes)

    def elf(self, path: Path) -> Path:
        """Writes the dump."""
        return write_elf(cast("Vmcore", self), path, ElfStyle())
