# SPDX-License-Identifier: GPL-2.0-or-later
"""The description of a machine: kernel, memory, and what every page frame is. Pure data, for `build(spec)`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from factory.form import Form
from factory.forms import form_of
from factory.generation import Generation, generation
from factory.kinds import Content, Placement
from factory.layout import ByteOrder

MIB = 1 << 20
Leaf = Literal["1G", "2M", "4K"]


class Model(Enum):
    """The kernel's memory model."""

    FLATMEM = "FLATMEM"
    DISCONTIGMEM = "DISCONTIGMEM"
    SPARSEMEM = "SPARSEMEM"
    SPARSEMEM_EXTREME = "SPARSEMEM_EXTREME"


class Lookup(Enum):
    """How the kernel finds pglist_data of a node."""

    NODE_DATA = "array node_data"
    PGDAT_LIST = "list pgdat_list, linked by pgdat_next"
    PGDAT_ARRAY = "array pgdat_list"
    CONTIG_PAGE_DATA = "contig_page_data, the only node"


class Online(Enum):
    """Where the kernel keeps the map of online nodes."""

    NODE_ONLINE_MAP = "node_online_map"
    NODE_STATES = "node_states[N_ONLINE]"
    NOWHERE = "neither symbol: one node"


@dataclass(frozen=True)
class Ram:
    """One PT_LOAD of memory: physical bytes [start, end); the first `filesz` of them are in the file (None: all)."""

    start: int
    end: int
    filesz: int | None = None

    @property
    def size_in_file(self) -> int:
        """Bytes that the file has."""
        return self.end - self.start if self.filesz is None else self.filesz


@dataclass(frozen=True)
class Note:
    """An ELF note, its name without the final NUL."""

    name: str
    type: int
    desc: bytes


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A crashed machine. Addresses and sizes are in bytes, ranges of page frames as (first, end).

    The processor: `arch` "x86_64" has page tables of 4 or 5 `levels`, with leaves of `direct_leaf` in the direct map
    and `image_leaf` in the kernel's; the image is moved by `kaslr`, the direct map begins at `page_offset`, entries
    carry `sme_mask`. "linear" has none: virtual = physical + `linear_base`, any word size, byte order and page size.
    Others are those of factory/forms.py; there `mem_map_leaf` is the log2 of the pages that map the struct pages, None
    if those are in the direct map.

    Memory: `ram`; `pages` says what is in it, all else is the kernel's with `default_content`. The factory's own data
    are from `kernel_start` (2 MiB) up, in page frames that `pages` doesn't name.

    The memory map: `model`; sections of `section_size_bits`; `vmemmap`: the leaves that map it, None for none;
    `root_pointer`: VMCOREINFO gives the address of the pointer `mem_section` (4.15+), not the pointer.

    VMCOREINFO: what that release exports, or with `debuginfo` all that is known, less the keys in `without`, plus the
    lines in `extra`; with `vmcoreinfo` False none at all.
    """

    release: str = "6.1.0"
    arch: str = "x86_64"
    bits: Literal[32, 64] = 64
    byteorder: ByteOrder = "little"
    page_shift: int = 12
    machine: int | None = None
    linear_base: int | None = None

    ram: tuple[Ram, ...] = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 24 * MIB))
    pages: tuple[Placement, ...] = ()
    default_content: Content = Content.NUMBER

    model: Model = Model.SPARSEMEM_EXTREME
    section_size_bits: int | None = None
    max_physmem_bits: int | None = None
    sizeof_mem_section: int | None = None
    root_pointer: bool = False
    sizeof_page: int | None = None
    vmemmap: Leaf | None = "2M"
    mem_map_leaf: int | None = None
    nodes: tuple[tuple[int, int], ...] | None = None
    lookup: Lookup | None = None
    online: Online = Online.NODE_ONLINE_MAP
    migrate_types: int | None = None
    free_lists: bool = True

    levels: Literal[4, 5] = 4
    direct_leaf: Leaf = "2M"
    image_leaf: Literal["2M", "4K"] = "2M"
    kaslr: int = 0
    page_offset: int | None = None
    sme_mask: int = 0
    kernel_start: int | None = None

    vmcoreinfo: bool = True
    debuginfo: bool = False
    without: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    crashtime: int | None = 1700000000
    cpus: int = 2
    notes: tuple[Note, ...] = ()
    text_segment: bool = True

    @property
    def generation(self) -> Generation:
        """What depends on the release."""
        return generation(self.release)

    @property
    def word(self) -> int:
        """Bytes of an unsigned long."""
        return self.bits // 8

    @property
    def page_size(self) -> int:
        """Bytes of a page."""
        return 1 << self.page_shift

    @property
    def e_machine(self) -> int:
        """ELF's number of the architecture."""
        if self.machine is not None:
            return self.machine
        if self.form:
            return self.form.machine
        if self.arch == "x86_64":
            return 62
        # loongarch64, ppc64, i386, ppc: their low memory is linear
        return {(64, "little"): 258, (64, "big"): 21, (32, "little"): 3, (32, "big"): 20}[self.bits, self.byteorder]

    @property
    def utsname_machine(self) -> str:
        """The machine's name as in struct new_utsname."""
        if self.form:
            return self.form.name
        return {62: "x86_64", 258: "loongarch64", 21: "ppc64", 3: "i686", 20: "ppc", 22: "s390x", 183: "aarch64"}.get(
            self.e_machine, "unknown"
        )

    @property
    def form(self) -> Form | None:
        """The form of the page tables, but for x86_64 and linear machines."""
        return form_of(self)

    @property
    def first_pfn(self) -> int:
        """The page frame that the kernel's memory map and a dump begin with: on arm where memory does."""
        return min(ram.start for ram in self.ram) // self.page_size if self.form and self.form.counted else 0

    @property
    def is_vmemmap(self) -> bool:
        """Whether the struct pages are in one virtually contiguous array."""
        return self.mem_map_leaf is not None or (
            self.vmemmap is not None
            and self.arch == "x86_64"
            and self.model in (Model.SPARSEMEM, Model.SPARSEMEM_EXTREME)
        )

    @property
    def node_lookup(self) -> Lookup:
        """How nodes are found."""
        if self.lookup is not None:
            return self.lookup
        return Lookup.CONTIG_PAGE_DATA if self.model is Model.FLATMEM else Lookup.NODE_DATA

    @property
    def section_bits(self) -> int:
        """SECTION_SIZE_BITS."""
        return self.section_size_bits or (27 if self.arch == "x86_64" else 22)

    @property
    def physmem_bits(self) -> int:
        """MAX_PHYSMEM_BITS."""
        if self.max_physmem_bits:
            return self.max_physmem_bits
        if self.model is Model.SPARSEMEM:
            return self.section_bits + 8
        if self.arch == "x86_64":
            return 52 if self.levels == 5 else 46
        return 32 if self.bits == 32 else 40

    @property
    def section_struct(self) -> int:
        """sizeof(struct mem_section)."""
        return self.sizeof_mem_section or 2 * self.word

    @property
    def list_types(self) -> int:
        """Free lists for each order."""
        if self.migrate_types is not None:
            return self.migrate_types
        return 1 if self.generation.release < (2, 6, 24) else 5
