# SPDX-License-Identifier: GPL-2.0-or-later
"""An ELF dump: its headers, and where its segments are in the file. The format has no check of what is in a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from mdf.capture.check.verdict import Findings
from mdf.core.bitmap import Place
from mdf.core.dumps import ElfDump
from mdf.core.formats import elf

_STEP = 256


def check_elf(dump: ElfDump, findings: Findings, see: Callable[[bytes | bytearray], object]) -> int:
    """Checks the headers and reads every page, to show it to `see`; returns how many pages those were."""
    _check_header(dump, findings)
    _check_segments(dump, findings)
    if dump.incomplete:
        top = dump.first_paddr + max(load.end for load in dump.loads)
        findings.missing.append(f"the header says that the end is missing: no segment is above {top:#x}")
    findings.unchecked.append(("what is in the pages", "the format has no checksums"))
    pages = dump.stored(dump.present(dump.max_mapnr, Place(), partial_tail=True))
    size = dump.page_size
    buffer = bytearray(_STEP * size)
    for start, end in pages.runs():
        for first in range(start, end, _STEP):
            last = min(first + _STEP, end)
            dump.read_pages(first, last, memoryview(buffer))
            for at in range(0, (last - first) * size, size):
                see(buffer[at : at + size])
    return pages.count()


def _check_header(dump: ElfDump, findings: Findings) -> None:
    header, expect = dump.header, findings.expect
    program = elf.program_header_size(header.bits)
    expect(header.type == elf.ET_CORE, f"ELF header: e_type is {header.type}, not that of a core")
    expect(header.version == header.ident[6] == 1, f"ELF header: e_version is {header.version}, {header.ident[6]}")
    expect(header.ehsize == elf.header_size(header.bits), f"ELF header: e_ehsize is {header.ehsize}")
    expect(header.phentsize == program, f"ELF header: e_phentsize is {header.phentsize} instead of {program}")
    expect(header.machine in elf.MACHINES, f"ELF header: unknown e_machine {header.machine}")
    expect(not header.entry, f"ELF header: e_entry is {header.entry:#x}")
    expect(not any(header.ident[9:]), "ELF header: data in the padding of e_ident")


def _check_segments(dump: ElfDump, findings: Findings) -> None:
    size = dump.source.size
    for number, load in enumerate(dump.loads):
        findings.expect(load.filesz <= load.memsz, f"PT_LOAD {number} has more data than memory")
    extents = sorted(_extents(dump))
    for (_, end, before), (start, _, name) in pairwise(extents):
        findings.expect(end <= start, f"{name} overlaps {before} in the file, at {start:#x}")
        if start - end >= dump.page_size:
            findings.remarks.append(f"{start - end} bytes before {name} belong to no segment")
    if size - extents[-1][1] >= dump.page_size:
        findings.remarks.append(f"{size - extents[-1][1]} bytes at the end belong to no segment")


def _extents(dump: ElfDump) -> Iterator[tuple[int, int, str]]:
    """What belongs to something in the file: first byte, the one behind the last, and its name."""
    header = dump.header
    yield 0, header.ehsize, "the ELF header"
    yield header.phoff, header.phoff + dump.header_count * header.phentsize, "the program headers"
    yield dump.note_header.offset, dump.note_header.offset + dump.note_header.filesz, "PT_NOTE"
    for number, load in enumerate(dump.loads):
        if load.filesz:
            yield load.offset, load.offset + load.filesz, f"PT_LOAD {number}"
