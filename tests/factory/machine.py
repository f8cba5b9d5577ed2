# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine under construction: its memory, its virtual addresses and the symbols of its kernel image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from factory.form import Form
from factory.layout import NodeLayout, PageLayout, page_layout
from factory.memory import Memory
from factory.paging import PageTables
from factory.spec import MIB, Model, Spec
from factory.tables import FormedTables

IMAGE_MAP = 0xFFFFFFFF80000000
IMAGE_LOAD = 0x1000000
LINEAR_BASES = {258: 0x9000000000000000, 21: 0xC000000000000000, 22: 0, 3: 0xC0000000, 20: 0xC0000000}


@dataclass(frozen=True)
class Machine:
    """What a kernel has laid out so far."""

    spec: Spec
    memory: Memory
    page: PageLayout
    node: NodeLayout
    image_paddr: int
    image_size: int
    direct: int
    image: int
    vmemmap: int
    tables: PageTables | None
    formed: FormedTables | None = None
    symbols: dict[str, int] = field(default_factory=dict)
    used: list[int] = field(default_factory=lambda: [0x4000])

    def symbol(self, name: str, size: int, align: int = 64) -> int:
        """Reserve `size` bytes of the image for a variable; its physical address."""
        offset = -(-self.used[-1] // align) * align
        if offset + size > self.image_size:
            raise ValueError(f"the kernel image of {self.image_size:#x} bytes has no room for {name}")
        self.used.append(offset + size)
        self.symbols[name] = self.image + offset
        return self.image_paddr + offset

    def virt(self, paddr: int) -> int:
        """Virtual address of a physical one in the direct map."""
        return self.direct + paddr

    @property
    def phys_base(self) -> int:
        """Physical address of the kernel's map, minus the address it was linked to; can be negative."""
        return self.image_paddr - (self.image - IMAGE_MAP) if self.tables else 0


def top_pfn(spec: Spec) -> int:
    """One past the highest page frame of RAM."""
    return max(-(-ram.end // spec.page_size) for ram in spec.ram)


def ram_pfns(spec: Spec) -> list[int]:
    """All page frames of RAM, in order, partial ones and ones without file data included."""
    size = spec.page_size
    return sorted({pfn for ram in spec.ram for pfn in range(ram.start // size, -(-ram.end // size))})


def filled_pfns(spec: Spec) -> list[int]:
    """Whole page frames that are completely in the file."""
    size = spec.page_size
    pfns: set[int] = set()
    for ram in spec.ram:
        pfns.update(range(-(-ram.start // size), (ram.start + ram.size_in_file) // size))
    return sorted(pfns)


def _page_offset(spec: Spec) -> int:
    if spec.page_offset is not None:
        return spec.page_offset
    moved = 0x0AC0_0000_0000 & -(1 << 30) if spec.kaslr else 0
    if spec.levels == 5:
        return 0xFF11000000000000 + moved
    release = spec.generation.release
    if release < (2, 6, 27):
        return 0xFFFF810000000000
    return (0xFFFF888000000000 if release >= (4, 20, 0) else 0xFFFF880000000000) + moved


def _vmemmap(spec: Spec) -> int:
    if spec.levels == 5:
        return 0xFFD4000000000000
    return 0xFFFFE20000000000 if spec.generation.release < (2, 6, 31) else 0xFFFFEA0000000000


def lay_out(spec: Spec) -> Machine:
    """Place the kernel image and map memory; kernel data avoids the page frames that `spec.pages` declares."""
    if spec.arch == "x86_64" and (spec.bits, spec.byteorder, spec.page_shift) != (64, "little", 12):
        raise ValueError("x86_64 has 64 bits, little endian and pages of 4 KiB")
    start = 2 * MIB if spec.kernel_start is None else spec.kernel_start
    declared = {pfn for placement in spec.pages for pfn in placement.pfns}
    free = [pfn for pfn in filled_pfns(spec) if pfn * spec.page_size >= start and pfn not in declared]
    memory = Memory(spec.page_size, spec.byteorder, spec.word, free=free)
    page, node = _layouts(spec)
    size = 0x40000
    if spec.model is Model.SPARSEMEM:
        size += spec.section_struct << (spec.physmem_bits - spec.section_bits)
    paddr = memory.allocate(size, 2 * MIB if spec.image_leaf == "2M" else spec.page_size)
    if spec.form:
        return _lay_out_formed(spec, spec.form, memory, paddr, size)
    if spec.arch == "linear":
        base = spec.linear_base if spec.linear_base is not None else LINEAR_BASES.get(spec.e_machine, 0)
        machine = Machine(spec, memory, page, node, paddr, size, base, base + paddr, 0, None)
        machine.symbol("swapper_pg_dir", spec.page_size, spec.page_size)
        return machine
    image = IMAGE_MAP + IMAGE_LOAD + spec.kaslr + (paddr % (2 * MIB) if spec.image_leaf == "4K" else 0)
    tables = PageTables(memory, paddr + 0x4000, spec.levels, spec.sme_mask)
    machine = Machine(spec, memory, page, node, paddr, size, _page_offset(spec), image, _vmemmap(spec), tables)
    machine.symbol("init_top_pgt" if spec.generation.release >= (4, 13, 0) else "init_level4_pgt", 4096, 4096)
    machine.symbols["swapper_pg_dir"] = image + 0x4000
    tables.map(image, paddr, size, spec.image_leaf)
    for ram in spec.ram:
        first = ram.start // spec.page_size * spec.page_size
        tables.map(machine.direct + first, first, ram.end - first, spec.direct_leaf)
    return machine


def _layouts(spec: Spec) -> tuple[PageLayout, NodeLayout]:
    return page_layout(spec.generation, spec.word, spec.sizeof_page), NodeLayout(spec.word, spec.list_types)


def _lay_out_formed(spec: Spec, form: Form, memory: Memory, paddr: int, size: int) -> Machine:
    """The direct map and the image of a machine of factory/forms.py; tables map memory where they do."""
    if form.bits_of_word != spec.bits:
        raise ValueError(f"{spec.arch} has {form.bits_of_word} bits")
    direct = form.direct - (spec.first_pfn * spec.page_size if form.counted else 0)
    image = form.image(paddr) if form.image else direct + paddr
    page, node = _layouts(spec)
    vmemmap = form.vmalloc - spec.first_pfn * page.size
    machine = Machine(spec, memory, page, node, paddr, size, direct, image, vmemmap, None)
    if form.image:  # The top table is in the image, as all that has a symbol.
        top = form.width << form.bits[0]
        tables = FormedTables(memory, machine.symbol("swapper_pg_dir", top, top), form)
        tables.clear(tables.root, top, 0)
    else:
        tables = FormedTables.new(memory, form)
        machine.symbols["swapper_pg_dir"] = direct + tables.root
    machine = replace(machine, formed=tables)
    if form.mapped:
        for ram in spec.ram:
            tables.map(direct + ram.start, ram.start, ram.end - ram.start, form.leaves[-1])
    if form.prepare:
        form.prepare(machine)
    return machine
