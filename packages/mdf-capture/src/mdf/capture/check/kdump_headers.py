# SPDX-License-Identifier: GPL-2.0-or-later
"""The headers of a kdump-compressed dump: what they say about themselves, each other, the notes, and padding.

Almost every field is said twice: by another header, a note, or the sizes of what follows.
"""

from __future__ import annotations

import re

from mdf.capture.check.verdict import Findings
from mdf.core.dumps import KdumpFile
from mdf.core.dumps.dump import VMCOREINFO_NOTE
from mdf.core.errors import FormatError
from mdf.core.formats import diskdump, elf
from mdf.core.formats.diskdump import COMPRESSIONS, UINT32_MAX, Flag, SubHeader

_LEVEL_MAX = 31
_KNOWN_STATUS = int(COMPRESSIONS | Flag.INCOMPLETE | Flag.EXCLUDED_VMEMMAP)
# What kernels call themselves, of the architectures that such dumps are made of.
_MACHINE = re.compile(
    r"x86_64|i[3-6]86|armv\d\w*|aarch64(_be)?|ppc(64(le)?)?|s390x?|ia64|mips(64)?|riscv(32|64)|loongarch(32|64)|sparc(64)?"
)


def check_headers(dump: KdumpFile, findings: Findings) -> None:
    """Holds the main header, the sub header and the notes of a dump against each other."""
    _check_main(dump, findings)
    _check_sub(dump, findings)
    _check_texts(dump, findings)
    _check_padding(dump, findings)


def _check_main(dump: KdumpFile, findings: Findings) -> None:
    main, sub, expect = dump.main, dump.sub, findings.expect
    expect(not main.status & ~_KNOWN_STATUS, f"main header: unknown bits in its status {main.status:#x}")
    compression = main.status & int(COMPRESSIONS)
    expect(not compression & compression - 1, f"main header: status {main.status:#x} names several compressions")
    blocks = diskdump.bitmap_blocks(dump.max_mapnr, main.block_size)
    expect(main.bitmap_blocks == blocks, f"main header: {main.bitmap_blocks} blocks of bitmaps instead of {blocks}")
    if main.version >= 6:
        low = min(sub.max_mapnr_64, UINT32_MAX)
        expect(
            main.max_mapnr == low, f"max_mapnr is {main.max_mapnr:#x} in one header, {sub.max_mapnr_64:#x} in the other"
        )
    end = max(sub.offset_note + sub.size_note, sub.offset_vmcoreinfo + sub.size_vmcoreinfo, _sub_end(dump))
    blocks = -(-end // main.block_size) - 1
    expect(main.sub_hdr_size == blocks, f"main header: a sub header of {main.sub_hdr_size} blocks instead of {blocks}")
    for name in ("total_ram_blocks", "device_blocks", "written_blocks", "current_cpu"):
        expect(not getattr(main, name), f"main header: {name} is not 0")
    cpus = dump.notes.nr_cpus
    expect(not cpus or main.nr_cpus == cpus, f"main header: {main.nr_cpus} processors, but {cpus} in the notes")
    _check_time(dump, findings)
    _check_utsname(dump, findings)


def _check_time(dump: KdumpFile, findings: Findings) -> None:
    seconds, microseconds = dump.timestamp
    crashtime = dump.info.crashtime if dump.info else 0
    if dump.bits == 32:
        crashtime = (crashtime + (1 << 31)) % (1 << 32) - (1 << 31)
    findings.expect(
        not crashtime or seconds in (0, crashtime), f"main header: the time is {seconds}, but CRASHTIME is {crashtime}"
    )
    findings.expect(
        0 <= microseconds < 1_000_000 and not (crashtime and microseconds),
        f"main header: impossible time: {microseconds} microseconds",
    )


def _check_utsname(dump: KdumpFile, findings: Findings) -> None:
    if not diskdump.names_kernel(dump.utsname):
        return
    sysname = dump.utsname[: diskdump.UTSNAME_FIELD]
    findings.expect(bool(_MACHINE.fullmatch(dump.machine)), f"main header: unknown machine {dump.machine!r}")
    findings.expect(sysname.rstrip(b"\x00") == b"Linux", f"main header: the system's name is {sysname[:16]!r}")
    if dump.info and "OSRELEASE" in dump.info.values:
        name = diskdump.utsname_field(dump.utsname, diskdump.UTSNAME_RELEASE)
        known = dump.info.osrelease
        findings.expect(name == known, f"main header: the release is {name!r}, but VMCOREINFO says {known!r}")


def _check_sub(dump: KdumpFile, findings: Findings) -> None:
    sub, expect = dump.sub, findings.expect
    expect(0 <= sub.dump_level <= _LEVEL_MAX, f"sub header: impossible dump level {sub.dump_level}")
    for part in dump.parts:
        _check_range(dump.main.version, part.sub, findings)
    said = dump.info.number("phys_base") if dump.info else None
    if said is not None:
        mask = (1 << dump.bits) - 1
        # QEMU takes the decimal number for a hexadecimal one.
        expect(
            sub.phys_base in (said & mask, int(str(abs(said)), 16)),
            f"sub header: phys_base is {sub.phys_base:#x}, but VMCOREINFO says {said & mask:#x}",
        )


def _check_range(version: int, sub: SubHeader, findings: Findings) -> None:
    expect = findings.expect
    expect(sub.split in (0, 1), f"sub header: split is {sub.split}")
    if version >= 6:
        expect(sub.start_pfn == min(sub.start_pfn_64, UINT32_MAX), "sub header: two values of start_pfn")
        expect(sub.end_pfn == min(sub.end_pfn_64, UINT32_MAX), "sub header: two values of end_pfn")
    expect(
        bool(sub.split) or not sub.start_pfn | sub.end_pfn, "sub header: a range of pages, but the dump is not split"
    )
    expect(bool(sub.offset_eraseinfo) == bool(sub.size_eraseinfo), "sub header: offset and size of erase information")


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _sub_end(dump: KdumpFile) -> int:
    return dump.main.block_size + dump.layout.sub(dump.main.version).size


def _check_texts(dump: KdumpFile, findings: Findings) -> None:
    sub, notes = dump.sub, dump.notes
    version = dump.main.version
    if sub.size_note:
        findings.expect(sub.offset_note == _sub_end(dump), f"sub header: the notes are at {sub.offset_note:#x}")
        end = 0
        for note in elf.notes(notes.data, dump.byteorder):
            end = max(end, note.offset + len(note.desc))
            known = note.name != VMCOREINFO_NOTE or not note.type
            findings.expect(known, f"the notes: {note.name} is of the type {note.type:#x}")
        findings.expect(
            sub.size_note in (_padded(end, 4), _padded(sub.size_note, dump.page_size)),
            f"sub header: {sub.size_note} bytes of notes, but the last one ends before",
        )
        where = sub.offset_note + notes.vmcoreinfo_offset if notes.vmcoreinfo is not None else 0
        size = len(notes.vmcoreinfo or b"")
        findings.expect(
            (sub.offset_vmcoreinfo, sub.size_vmcoreinfo) == (where, size),
            f"sub header: VMCOREINFO is at {sub.offset_vmcoreinfo:#x} ({sub.size_vmcoreinfo} bytes), "
            f"but the note is at {where:#x} ({size} bytes)",
        )
    else:
        findings.expect(not sub.offset_note, "sub header: an offset of notes, but no size")
        if version >= 4:
            findings.expect(not sub.offset_vmcoreinfo | sub.size_vmcoreinfo, "sub header: VMCOREINFO without notes")


def _check_padding(dump: KdumpFile, findings: Findings) -> None:
    """What belongs to no field is zero."""
    main, sub = dump.main, dump.sub
    size, sub_end = main.block_size, _sub_end(dump)
    texts = max(sub.offset_note + sub.size_note, sub.offset_vmcoreinfo + sub.size_vmcoreinfo, sub_end)
    bitmaps = (1 + main.sub_hdr_size) * size
    names = 12 + diskdump.UTSNAME_SIZE
    time = -(-names // dump.layout.long_size) * dump.layout.long_size
    ranges = [
        (names, time, "the main header"),
        (dump.layout.main.size, size, "the main header's block"),
        (sub_end, sub.offset_note if sub.size_note else sub_end, "the sub header"),
        (texts, bitmaps, "the sub header's blocks"),
    ]
    half, used = main.bitmap_blocks // 2 * size, -(-dump.max_mapnr // 8)
    ranges += [(bitmaps + at + used, bitmaps + at + half, "a bitmap") for at in (0, half)]
    for start, end, what in ranges:
        if start < end and any(_read(dump, start, end, findings)):
            findings.damaged(f"there is data behind {what}, at {start:#x} - {end:#x}")
    if dump.max_mapnr & 7:
        for at in (bitmaps + used - 1, bitmaps + half + used - 1):
            last = _read(dump, at, at + 1, findings)
            findings.expect(not last or not last[0] >> (dump.max_mapnr & 7), "a bitmap has pages beyond max_mapnr")


def _read(dump: KdumpFile, start: int, end: int, findings: Findings) -> bytes:
    end = min(end, start + (1 << 22))
    try:
        return dump.source.read_upto(start, end - start)
    except FormatError as error:
        findings.damaged(str(error))
        return b""
