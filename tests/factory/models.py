# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory models: where struct pages are, and the tables by which the kernel finds them."""

from __future__ import annotations

from factory.machine import Machine, filled_pfns, top_pfn
from factory.memmap import MemMap, Piece
from factory.paging import SHIFTS
from factory.spec import Model, Spec

PRESENT, HAS_MEM_MAP, ONLINE, EARLY = 1, 2, 4, 8


def node_ranges(spec: Spec) -> tuple[tuple[int, int], ...]:
    """The page frames of each node: as declared, else one node for each RAM range (DISCONTIGMEM), else one node."""
    if spec.nodes is not None:
        return spec.nodes
    if spec.model is not Model.DISCONTIGMEM:
        return ((spec.first_pfn, top_pfn(spec)),)
    size = spec.page_size
    return tuple(sorted((ram.start // size, -(-ram.end // size)) for ram in spec.ram))


def _sections(spec: Spec) -> list[int]:
    shift = spec.section_bits - spec.page_shift
    return sorted({pfn >> shift for pfn in filled_pfns(spec)})


def place_mem_map(machine: Machine) -> MemMap:
    """Allocate (and map) the struct pages of all pieces of memory."""
    spec, size = machine.spec, machine.page.size
    if spec.model is Model.FLATMEM:
        ranges = [(spec.first_pfn, top_pfn(spec))]
    elif spec.model is Model.DISCONTIGMEM:
        ranges = list(node_ranges(spec))
    else:
        shift = spec.section_bits - spec.page_shift
        ranges = [(section << shift, (section + 1) << shift) for section in _sections(spec)]
    if spec.is_vmemmap:
        return _place_vmemmap(machine, ranges)
    pieces = tuple(
        Piece(start, end, machine.virt(machine.memory.allocate((end - start) * size))) for start, end in ranges
    )
    return MemMap(machine.memory, size, pieces, machine.direct, 0, {})


def _place_vmemmap(machine: Machine, ranges: list[tuple[int, int]]) -> MemMap:
    assert machine.spec.vmemmap is not None
    shift = machine.spec.mem_map_leaf or SHIFTS[machine.spec.vmemmap]
    size, step = machine.page.size, 1 << shift
    wanted: set[int] = set()
    for start, end in ranges:
        first, last = machine.vmemmap + start * size, machine.vmemmap + end * size - 1
        wanted.update(range(first // step, last // step + 1))
    # from the top: then neighbours in the array are not neighbours in memory
    blocks = {block: machine.memory.allocate(step, step) for block in sorted(wanted, reverse=True)}
    for block, paddr in blocks.items():
        if machine.formed:
            machine.formed.map(block * step, paddr, step, shift)
        elif machine.tables:
            machine.tables.map(block * step, paddr, step, machine.spec.vmemmap)
    pieces = tuple(Piece(start, end, machine.vmemmap + start * size) for start, end in ranges)
    return MemMap(machine.memory, size, pieces, machine.direct, step, blocks)


def write_model(machine: Machine, pieces: tuple[Piece, ...]) -> None:
    """Write `mem_map` or the `mem_section` table; nodes write the rest."""
    spec, memory = machine.spec, machine.memory
    if spec.model is Model.FLATMEM:
        memory.write_word(machine.symbol("mem_map", spec.word), pieces[0].address)
    elif spec.model is Model.SPARSEMEM:
        count = 1 << (spec.physmem_bits - spec.section_bits)
        table = machine.symbol("mem_section", count * spec.section_struct)
        for piece in pieces:
            section = piece.pfn_start >> (spec.section_bits - spec.page_shift)
            _write_section(machine, table + section * spec.section_struct, piece)
    elif spec.model is Model.SPARSEMEM_EXTREME:
        _write_roots(machine, pieces)


def _write_section(machine: Machine, paddr: int, piece: Piece) -> None:
    encoded = piece.address - piece.pfn_start * machine.page.size
    flags = PRESENT | HAS_MEM_MAP
    if machine.spec.generation.release >= (4, 13, 0):
        flags |= ONLINE
    if machine.spec.generation.release >= (5, 3, 0):
        flags |= EARLY
    machine.memory.write_word(paddr, encoded | flags)
    machine.memory.write_word(paddr + machine.spec.word, machine.virt(machine.image_paddr))


def section_roots(spec: Spec) -> int:
    """NR_SECTION_ROOTS of SPARSEMEM_EXTREME."""
    per_root = spec.page_size // spec.section_struct
    return -(-(1 << (spec.physmem_bits - spec.section_bits)) // per_root)


def _write_roots(machine: Machine, pieces: tuple[Piece, ...]) -> None:
    spec, memory = machine.spec, machine.memory
    per_root = spec.page_size // spec.section_struct
    size = section_roots(spec) * spec.word
    if spec.generation.release < (4, 15, 0):
        table = machine.symbol("mem_section", size)
    else:
        # since 4.15 allocated, and mem_section is a pointer to it; VMCOREINFO has the pointer's value
        table = memory.allocate(size)
        memory.write_word(machine.symbol("mem_section", spec.word), machine.virt(table))
        if not spec.root_pointer:
            machine.symbols["mem_section"] = machine.virt(table)
    roots: dict[int, int] = {}
    for piece in pieces:
        root, index = divmod(piece.pfn_start >> (spec.section_bits - spec.page_shift), per_root)
        if root not in roots:
            roots[root] = memory.allocate(spec.page_size)
            memory.write_word(table + root * spec.word, machine.virt(roots[root]))
        _write_section(machine, roots[root] + index * spec.section_struct, piece)
