# SPDX-License-Identifier: GPL-2.0-or-later
"""More memory for a machine that is built: the memory map of what is added shows the struct pages of what is there.

So a vmcore of a terabyte, with a struct page for each of its pages, takes little room: what is added is a hole in the
file, and the sections above point to the memory map of sections below.
"""

from __future__ import annotations

from dataclasses import replace

from factory.memmap import Piece
from factory.models import write_model
from factory.spec import Ram
from factory.vmcore import Vmcore
from factory.vmcoreinfo import vmcoreinfo


def grown(vmcore: Vmcore, start: int, end: int) -> Vmcore:
    """The machine with RAM of zeros in [start, end) as well, whole sections above all that it has."""
    spec, machine = vmcore.spec, vmcore.machine
    shift = spec.section_bits - spec.page_shift
    repeated = vmcore.pieces[len(vmcore.pieces) // 2 :]
    sections = range(start >> spec.section_bits, end >> spec.section_bits)
    added = tuple(
        Piece(section << shift, (section + 1) << shift, repeated[number % len(repeated)].address)
        for number, section in enumerate(sections)
    )
    pieces = vmcore.pieces + added
    write_model(machine, pieces)
    return replace(
        vmcore,
        spec=replace(spec, ram=(*spec.ram, Ram(start, end))),
        vmcoreinfo=vmcoreinfo(machine),
        mem_map=replace(vmcore.mem_map, pieces=pieces),
    )
