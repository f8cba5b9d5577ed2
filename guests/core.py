# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory of a guest as an ELF vmcore with its VMCOREINFO, whatever QEMU can do for the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from guests.machines import Guest
from guests.qemu import Machine
from mdf.core.formats.elf import ET_CORE, PT_LOAD, PT_NOTE, ElfHeader, ProgramHeader, header_size, program_header_size


@dataclass(frozen=True)
class Saved:
    """Physical memory from `paddr` on, saved in the file at `path`."""

    paddr: int
    path: Path


def system_ram(iomem: str) -> Iterator[tuple[int, int]]:
    """Start and end of the ranges of memory that a guest's /proc/iomem names at its top level."""
    for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", iomem, re.MULTILINE):
        yield int(start, 16), int(end, 16) + 1


def dump(machine: Machine, guest: Guest, files: Path, vmcore: Path) -> None:
    """Dumps a guest that stands still. `files` are those that it gave out."""
    vmcore.unlink(missing_ok=True)
    if guest.can_dump:
        machine.command("dump-guest-memory", paging=False, protocol=f"file:{vmcore}")
        _add_note(vmcore, machine, files)
        return
    saved = []
    for start, end in system_ram((files / "iomem").read_text()):
        saved.append(Saved(start, vmcore.with_name(f"memory-{start:x}")))
        machine.command("pmemsave", val=start, size=end - start, filename=str(saved[-1].path))
    _write(vmcore, guest, saved, _note(machine, files))


def _note(machine: Machine, files: Path) -> bytes:
    """The note of VMCOREINFO as the kernel keeps it in memory, from where its /sys/kernel/vmcoreinfo says."""
    paddr, size = (int(word, 16) for word in (files / "vmcoreinfo").read_text().split())
    place = files / "vmcoreinfo-note"
    machine.command("pmemsave", val=paddr, size=size, filename=str(place))
    data = place.read_bytes()
    namesz, descsz = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
    return data[: 12 + (namesz + 3 & ~3) + (descsz + 3 & ~3)]


def _add_note(vmcore: Path, machine: Machine, files: Path) -> None:
    """QEMU writes the VMCOREINFO of machines whose firmware interface tells it; of others it goes to the file's end."""
    with vmcore.open("r+b") as file:
        header = ElfHeader.parse(file.read(64))
        size = program_header_size(header.bits)
        for number in range(header.phnum):
            place = header.phoff + number * size
            file.seek(place)
            segment = ProgramHeader.parse(file.read(size), 0, header.bits, header.byteorder)
            if segment.type == PT_NOTE:
                file.seek(segment.offset)
                notes = file.read(segment.filesz)
                if b"VMCOREINFO\0" not in notes:
                    notes += _note(machine, files)
                    end = file.seek(0, 2)
                    file.write(notes)
                    file.seek(place)
                    moved = replace(segment, offset=end, filesz=len(notes), memsz=len(notes))
                    file.write(moved.pack(header.bits, header.byteorder))
                return


def _write(vmcore: Path, guest: Guest, saved: list[Saved], note: bytes) -> None:
    """An ELF vmcore of pieces of memory, without virtual addresses."""
    bits, machine = guest.elf
    phsize, ehsize = program_header_size(bits), header_size(bits)
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    count = 1 + len(saved)
    header = ElfHeader(ident, bits, "little", ET_CORE, machine, 1, 0, ehsize, 0, 0, ehsize, phsize, count, 0, 0, 0)
    at = ehsize + count * phsize
    headers = [ProgramHeader(PT_NOTE, 0, at, 0, 0, len(note), len(note), 0)]
    at += len(note)
    for piece in saved:
        size = piece.path.stat().st_size
        headers.append(ProgramHeader(PT_LOAD, 7, at, 0, piece.paddr, size, size, 0))
        at += size
    with vmcore.open("wb") as file:
        file.write(header.pack() + b"".join(segment.pack(bits, "little") for segment in headers) + note)
        for piece in saved:
            with piece.path.open("rb") as source:
                while chunk := source.read(1 << 20):
                    file.write(chunk)
            piece.path.unlink()
