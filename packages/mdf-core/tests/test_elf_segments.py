# SPDX-License-Identifier: GPL-2.0-or-later
"""Segments that overlap, abut or end inside a page; headers at unusual places; several note segments."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from mdf.core.bitmap import Place
from mdf.core.dumps import ElfDump, open_dump
from mdf.core.dumps.overlaps import first_wins
from mdf.core.errors import AddressError, FormatError, MissingInfoError

PAGE = 4096
INFO = b"OSRELEASE=6.1.0\nPAGESIZE=4096\n"


class Load(NamedTuple):
    paddr: int
    memsz: int
    filesz: int

    def byte(self, paddr: int, number: int) -> int:
        """What the file holds of each address: every segment has bytes of its own."""
        return (paddr * 7 + number * 31) % 251 + 1


def note(name: bytes, kind: int, desc: bytes) -> bytes:
    header = struct.pack("<III", len(name) + 1, len(desc), kind)
    return header + (name + b"\x00").ljust(-(-(len(name) + 1) // 4) * 4, b"\x00") + desc + bytes(-len(desc) % 4)


def vmcore(
    loads: Sequence[Load],
    notes: Sequence[bytes] = (note(b"VMCOREINFO", 0, INFO),),
    *,
    phoff: int = 64,
    stride: int = 56,
) -> bytes:
    """An ELF64 vmcore; the segments' data are not aligned."""
    count = len(loads) + len(notes)
    at = phoff + count * stride
    headers, body = [], b""
    for text in notes:
        headers.append((4, 0, at + len(body), 0, 0, len(text), len(text), 4))
        body += text
    for number, load in enumerate(loads):
        headers.append((1, 7, at + len(body), 0, load.paddr, load.filesz, load.memsz, 0))
        body += bytes(load.byte(load.paddr + offset, number) for offset in range(load.filesz))
    table = b"".join(struct.pack("<IIQQQQQQ", *header).ljust(stride, b"\xee") for header in headers)
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\x00")
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, phoff, 0, 0, 64, stride, count, 64, 0, 0)
    return head.ljust(phoff, b"\xdd") + table + body


def test_segments_that_share_their_data_are_refused(tmp_path: Path) -> None:
    """A small file could be terabytes of memory otherwise."""
    data = bytearray(vmcore([Load(number << 24, 1 << 16, 1 << 16 if not number else 0) for number in range(100)]))
    headers = [64 + 56 * number for number in range(1, 101)]
    offset = struct.unpack_from("<Q", data, headers[0] + 8)[0]
    for at in headers:
        struct.pack_into("<Q", data, at + 8, offset)
        struct.pack_into("<Q", data, at + 32, 1 << 16)
    (tmp_path / "vmcore").write_bytes(data)
    with pytest.raises(FormatError, match="impossible size: 0x640000 bytes in the PT_LOADs of"):
        open_dump(tmp_path / "vmcore")


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], ElfDump]:
    def opened(data: bytes) -> ElfDump:
        path = tmp_path / "vmcore"
        path.write_bytes(data)
        dump = open_dump(path)
        assert isinstance(dump, ElfDump)
        return dump

    return opened


def memory(loads: Sequence[Load], size: int) -> tuple[bytearray, list[bool]]:
    """Byte by byte: the first segment around an address has it, or zero where only its memory is; and what is there."""
    content, there = bytearray(size), [False] * size
    for paddr in range(size):
        for number, load in enumerate(loads):
            if load.paddr <= paddr < load.paddr + load.memsz:
                there[paddr] = True
                if paddr < load.paddr + load.filesz:
                    content[paddr] = load.byte(paddr, number)
                break
    return content, there


SHAPES = {
    "abutting": [Load(0x1000, 0x800, 0x800), Load(0x1800, 0x1800, 0x1800)],
    "abutting, backwards": [Load(0x1800, 0x1800, 0x1800), Load(0x1000, 0x800, 0x800)],
    "kernel text over memory": [Load(0x2000, 0x1000, 0x1000), Load(0x1000, 0x4000, 0x4000)],
    "memory over kernel text": [Load(0x1000, 0x4000, 0x4000), Load(0x2000, 0x1000, 0x1000)],
    "a gap inside a page": [Load(0x1000, 0x123, 0x123), Load(0x1234, 0x1000, 0x1000)],
    "memory that is not in the file": [Load(0x1000, 0x3000, 0x1200), Load(0x4100, 0x100, 0)],
    "more in the file than in memory": [Load(0x1000, 0x800, 0x1000), Load(0x3000, 0x10, 0x10)],
    "without memory": [Load(0x1000, 0x1000, 0x1000), Load(0x1800, 0, 0), Load(0x3000, 0, 0)],
    "three over each other": [Load(0x1000, 0x900, 0x400), Load(0x1200, 0x900, 0x900), Load(0x1100, 0x1000, 0x1000)],
    "twice the same": [Load(0x1000, 0x1000, 0x1000), Load(0x1000, 0x1000, 0x1000)],
}


def assert_reads_like(dump: ElfDump, loads: Sequence[Load], seed: int) -> None:
    top = 0x6000
    in_memory = [Load(load.paddr, load.memsz, min(load.filesz, load.memsz)) for load in loads]
    content, there = memory(in_memory, top)
    chance = random.Random(seed)
    for _ in range(300):
        start = chance.randrange(top)
        end = min(start + chance.choice((1, 8, 100, PAGE, 3 * PAGE)), top)
        if any(there[start:end]):
            assert dump.read(start, end - start) == content[start:end]
        else:
            with pytest.raises(AddressError, match=f"{start:#x}"):
                dump.read(start, end - start)


@pytest.mark.parametrize("name", SHAPES)
def test_reads_across_segments_and_gaps_are_those_of_a_byte_by_byte_look(
    name: str, opened: Callable[[bytes], ElfDump]
) -> None:
    with opened(vmcore(SHAPES[name])) as dump:
        assert_reads_like(dump, SHAPES[name], 1)
        assert dump.max_mapnr == -(-max(load.paddr + load.memsz for load in SHAPES[name]) // PAGE)


@pytest.mark.parametrize("seed", range(12))
def test_random_segments_read_like_a_byte_by_byte_look(seed: int, opened: Callable[[bytes], ElfDump]) -> None:
    chance = random.Random(seed)
    loads = []
    for _ in range(chance.randrange(1, 7)):
        memsz = chance.choice((0, 1, 0x10, 0x7FF, 0x1000, 0x2345))
        loads.append(Load(chance.randrange(0x3000), memsz, chance.choice((0, memsz // 2, memsz))))
    with opened(vmcore(loads)) as dump:
        assert_reads_like(dump, loads, seed)
        pages = range(0x6000 // PAGE)
        present = dump.present(dump.max_mapnr, Place(), partial_tail=True)
        assert [present[pfn] for pfn in pages] == [
            any(load.paddr // PAGE <= pfn < -(-(load.paddr + load.memsz) // PAGE) for load in loads) for pfn in pages
        ]


@pytest.mark.parametrize(("phoff", "stride"), [(64, 56), (192, 56), (1001, 56), (64, 64), (128, 300)])
def test_program_headers_are_where_and_as_far_apart_as_the_header_says(
    phoff: int, stride: int, opened: Callable[[bytes], ElfDump]
) -> None:
    loads = SHAPES["kernel text over memory"]
    with opened(vmcore(loads, phoff=phoff, stride=stride)) as dump:
        assert_reads_like(dump, loads, 2)


def test_the_last_of_several_note_segments_is_read_and_the_first_is_copied(
    opened: Callable[[bytes], ElfDump],
) -> None:
    first = note(b"CORE", 1, bytes(8)) + note(b"VMCOREINFO", 0, b"OSRELEASE=5.0.0\nPAGESIZE=65536\n")
    last = note(b"CORE", 1, bytes(8)) * 3 + note(b"VMCOREINFO", 0, INFO) + note(b"Xen", 0x1000001, bytes(80))
    with opened(vmcore(SHAPES["abutting"], [first, last])) as dump:
        assert dump.info is not None
        assert (dump.info.osrelease, dump.page_size, dump.nr_cpus, dump.xen) == ("6.1.0", PAGE, 3, True)
        assert dump.notes.data == first


def test_a_vmcore_without_vmcoreinfo_is_read_as_far_as_it_goes(opened: Callable[[bytes], ElfDump]) -> None:
    with opened(vmcore(SHAPES["abutting"], [note(b"CORE", 1, bytes(8))])) as dump:
        assert dump.info is None
        assert (dump.nr_cpus, dump.xen) == (1, False)


@pytest.mark.parametrize("missing", [3, 20, 32])
def test_a_note_cut_short_is_an_error(missing: int, opened: Callable[[bytes], ElfDump]) -> None:
    with pytest.raises(FormatError, match="truncated in the note"):
        opened(vmcore(SHAPES["abutting"], [note(b"VMCOREINFO", 0, INFO)[:-missing]]))


def test_a_vmcoreinfo_without_a_page_size_is_an_error(opened: Callable[[bytes], ElfDump]) -> None:
    with pytest.raises(MissingInfoError, match="PAGESIZE"):
        opened(vmcore(SHAPES["abutting"], [note(b"VMCOREINFO", 0, b"OSRELEASE=6.1.0\n")]))


@pytest.mark.parametrize(
    ("loads", "notes", "sentence"),
    [([], [note(b"CORE", 1, b"")], "PT_LOAD"), ([Load(0, 16, 16)], [], "PT_NOTE")],
)
def test_a_vmcore_must_have_memory_and_notes(
    loads: list[Load], notes: list[bytes], sentence: str, opened: Callable[[bytes], ElfDump]
) -> None:
    with pytest.raises(FormatError, match=sentence):
        opened(vmcore(loads, notes))


def test_a_vmcore_cut_off_in_its_memory_says_where(opened: Callable[[bytes], ElfDump]) -> None:
    data = vmcore(SHAPES["abutting"])
    with pytest.raises(FormatError, match=rf"truncated: PT_LOAD 1 ends at {len(data):#x}"):
        opened(data[:-1])


def test_a_segment_whose_address_is_invalid_is_no_memory(opened: Callable[[bytes], ElfDump]) -> None:
    with opened(vmcore([Load(0x1000, 0x1000, 0x1000), Load((1 << 64) - 1, 0x1000, 0)])) as dump:
        assert dump.max_mapnr == 2
        assert len(dump.loads) == 2


@pytest.mark.parametrize("load", [Load(1 << 60, 0x1000, 0), Load(0x1000, (1 << 64) - 1, 0), Load(0, 1 << 48, 0)])
def test_memory_that_no_file_of_this_size_can_hold_is_refused(load: Load, opened: Callable[[bytes], ElfDump]) -> None:
    with pytest.raises(FormatError, match="impossible size"):
        opened(vmcore([load]))


def test_disjoint_pieces_are_those_of_the_first_range_around() -> None:
    chance = random.Random(5)
    for _ in range(200):
        ranges = [(start, start + chance.randrange(12)) for start in (chance.randrange(40) for _ in range(8))]
        covered = {at: index for start, end, index in first_wins(ranges) for at in range(start, end)}
        expected = {
            at: next(index for index, (start, end) in enumerate(ranges) if start <= at < end)
            for at in range(60)
            if any(start <= at < end for start, end in ranges)
        }
        assert covered == expected


@pytest.mark.parametrize("shape", ["nested", "staggered", "all over the rest"])
def test_many_overlaps_take_no_more_time_than_sorting(shape: str) -> None:
    count = 20_000
    ranges = {
        "nested": [(number, 4 * count - number) for number in range(count)],
        "staggered": [(number, number + count) for number in reversed(range(count))],
        "all over the rest": [(3 * number, 3 * number + 1) for number in range(count)] + [(0, 4 * count)] * count,
    }[shape]
    started = time.process_time()
    pieces = list(first_wins(ranges))
    assert time.process_time() - started < 3
    assert all(end == start for (_, end, _), (start, _, _) in pairwise(pieces))
