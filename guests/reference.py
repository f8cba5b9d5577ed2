# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's makedumpfile of a guest's own architecture, where this host runs it, must make the same dumps.

QEMU's files are beyond it: memory gets the segments that the crashed kernel itself would give it.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

from guests.core import system_ram
from guests.debian import MIRROR, Apt, unpack
from guests.machines import GUESTS
from guests.parts import guests_cache
from guests.run import Result
from mdf.capture import Options, capture
from mdf.core.dumps import open_dump
from mdf.core.dumps.elf import ElfDump
from mdf.core.formats.elf import PT_NOTE, header_size, program_header_size

# A host of x86_64 runs programs of i386: the loader, and where its libraries are.
_LOADERS = {"i386": "ld-linux.so.2"}
_PAGE_OFFSET = 0xC0000000
_NOWHERE = (1 << 64) - 1
_LEVELS = (0, 1, 2, 4, 8, 16, 31)


def compare(result: Result) -> bool:
    """Prints whether dumps of all levels, and the ELF dump, are the reference's; True where there is none."""
    architecture = GUESTS[result.name].architecture
    if architecture not in _LOADERS or os.uname().machine != "x86_64":
        return True
    program = _program(architecture, GUESTS[result.name].suite)
    vmcore = as_kexec_has_it(result)
    theirs, ours = result.vmcore.with_name("theirs"), result.vmcore.with_name("ours")
    same = []
    for level, elf in [*((level, False) for level in _LEVELS), (31, True)]:
        command = [*program, "-f", "-d", str(level), *(["-E"] if elf else []), str(vmcore), str(theirs)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        capture(Options(vmcore, ours, dump_levels=(level,), elf=elf, force=True))
        same.append(subprocess.run(["cmp", "-s", str(theirs), str(ours)], check=False).returncode == 0)
        print(f"{result.name}: level {level}{', ELF' if elf else ''}: {'same bytes' if same[-1] else 'OTHER bytes'}")
    for path in (vmcore, theirs, ours):
        path.unlink()
    return all(same)


def _program(architecture: str, suite: str) -> list[str]:
    folder = guests_cache() / f"reference-{architecture}"
    root = folder / "root"
    if not root.exists():
        apt = Apt(folder / "apt", f"{MIRROR} {suite}", architecture=architecture)
        unpack(apt.download_all("makedumpfile"), root)
    loader = next(path for path in root.rglob(_LOADERS[architecture]) if path.exists())
    libraries = ":".join(sorted({str(path.parent) for path in root.rglob("lib*.so.*")}))
    return [str(loader), "--library-path", libraries, str(root / "usr" / "bin" / "makedumpfile")]


def as_kexec_has_it(result: Result) -> Path:
    """A vmcore of the guest's System RAM alone, low memory with its virtual addresses."""
    path = result.vmcore.with_name("as-kexec")
    with open_dump(result.vmcore) as dump, path.open("wb") as file:
        assert isinstance(dump, ElfDump)
        bits, order = dump.header.bits, dump.byteorder
        zones = re.findall(r"zone +(\w+).*?start_pfn: +(\d+)", (result.files / "zoneinfo").read_text(), re.DOTALL)
        highmem = int(dict(zones)["HighMem"]) * dump.page_size
        ranges = [
            piece
            for start, end in system_ram((result.files / "iomem").read_text())
            for piece in ((start, min(end, highmem)), (max(start, highmem), end))
            if piece[0] < piece[1]
        ]
        at = header_size(bits) + program_header_size(bits) * (1 + len(ranges))
        header = replace(dump.header, phoff=header_size(bits), shoff=0, phnum=1 + len(ranges), shnum=0, shstrndx=0)
        headers = [replace(dump.note_header, type=PT_NOTE, offset=at)]
        for start, end in ranges:
            at = -(-(at + headers[-1].filesz) // 4096) * 4096
            vaddr = start + _PAGE_OFFSET if end <= highmem else _NOWHERE
            headers.append(
                replace(dump.loads[0], offset=at, vaddr=vaddr, paddr=start, filesz=end - start, memsz=end - start)
            )
            at = headers[-1].offset
        file.write(header.pack() + b"".join(each.pack(bits, order) for each in headers) + dump.notes.data)
        for each in headers[1:]:
            file.seek(each.offset)
            for done in range(0, each.filesz, 1 << 20):
                file.write(dump.read(each.paddr + done, min(1 << 20, each.filesz - done)))
    return path
