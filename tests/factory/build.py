# SPDX-License-Identifier: GPL-2.0-or-later
"""From a description to a machine's memory: `build(spec)`."""

from __future__ import annotations

from types import MappingProxyType

from factory.kdump import vmcore_utsname
from factory.kinds import Kernel, Placement
from factory.machine import lay_out, ram_pfns
from factory.memmap import MemMap
from factory.models import place_mem_map, write_model
from factory.nodes import write_nodes
from factory.spec import Spec
from factory.structpages import PageEncoder
from factory.vmcore import Vmcore
from factory.vmcoreinfo import vmcoreinfo


def build(spec: Spec) -> Vmcore:
    """Lay the machine out and write everything the kernel keeps in memory."""
    kinds = _kinds(spec)
    machine = lay_out(spec)
    machine.symbols["_stext"] = machine.image
    mem_map = place_mem_map(machine)
    encoder = PageEncoder(spec.generation, machine.page, spec.word, spec.byteorder, machine.image, mem_map.address)
    machine.symbols["free_huge_page"] = encoder.free_page_address()
    _write_struct_pages(spec, mem_map, encoder)
    write_model(machine, mem_map.pieces)
    write_nodes(machine, mem_map)
    name = "init_uts_ns" if spec.generation.release >= (2, 6, 19) else "system_utsname"
    uts = machine.symbol(name, 400)
    vmcore = Vmcore(spec, vmcoreinfo(machine), MappingProxyType(kinds), machine, mem_map)
    machine.memory.write(uts + spec.generation.uts_offset, vmcore_utsname(vmcore))
    return vmcore


def _kinds(spec: Spec) -> dict[int, Placement]:
    kinds: dict[int, Placement] = {}
    for placement in spec.pages:
        for pfn in placement.pfns:
            if pfn in kinds:
                raise ValueError(f"pfn {pfn:#x} is declared twice: {kinds[pfn]} and {placement}")
            kinds[pfn] = placement
    return kinds


def _write_struct_pages(spec: Spec, mem_map: MemMap, encoder: PageEncoder) -> None:
    hole, kernel = encoder.hole(), encoder.block(0, Kernel())
    ram = set(ram_pfns(spec))
    for piece in mem_map.pieces:
        structs = (kernel if pfn in ram else hole for pfn in range(piece.pfn_start, piece.pfn_end))
        mem_map.write(piece.pfn_start, b"".join(structs))
    size = encoder.layout.size
    for placement in spec.pages:
        block = encoder.block(placement.pfn, placement.kind)
        for index, pfn in enumerate(placement.pfns):
            mem_map.write(pfn, block[index * size : (index + 1) * size])
