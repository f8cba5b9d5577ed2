# SPDX-License-Identifier: GPL-2.0-or-later
"""Holes in a dump: nobody who reads it sees them, and what cannot have them gets the zeros."""

from __future__ import annotations

import os
import random
import stat
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from captures import DumpFile, dump_of
from factory import MIB, Content, Kernel, Ram, Spec, Vmcore, build, place
from mdf.capture.holes import BLOCK, stretches
from mdf.capture.sinks import FileSink, PartialWriteError
from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.source import Source
from mdf.core.errors import NoSpaceError

ZEROS, ONES = bytes(BLOCK), b"\x01" * BLOCK
RAM = (Ram(1 * MIB, 64 * MIB),)
DATA = Kernel(order=9, content=Content.RANDOM)

# Of 64 MiB all but the kernel's own data and two blocks of 2 MiB are zeros; in the last, memory ends with data.
MACHINES = {
    "4 KiB": Spec(ram=RAM, pages=(place(0x2000, DATA), place(0x3000, DATA)), default_content=Content.ZERO),
    "4 KiB, data at the end": Spec(ram=RAM, pages=(place(0x3E00, DATA),), default_content=Content.ZERO),
    "64 KiB": Spec(
        release="6.12.0",
        arch="linear",
        page_shift=16,
        section_size_bits=24,
        ram=RAM,
        pages=(place(0x200, Kernel(order=5, content=Content.RANDOM)),),
        default_content=Content.ZERO,
    ),
}


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Vmcore, Path]:
    core = build(MACHINES[request.param])
    return core, core.elf(tmp_path_factory.mktemp("holes") / "vmcore")


@pytest.fixture(autouse=True)
def _file_system_with_holes(tmp_path: Path) -> None:
    with (tmp_path / "probe").open("wb") as probe:
        probe.truncate(MIB)
    if on_disk(tmp_path / "probe") >= MIB:
        pytest.skip("this file system has no holes")


def on_disk(path: Path) -> int:
    """The bytes that a file occupies."""
    return path.stat().st_blocks * 512


def stream_of(core: Vmcore, vmcore: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, elf: bool) -> bytes:
    """The same dump, out of a flattened stream, which has every byte of it."""
    with (folder / "stream").open("wb") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        dump_of(core, vmcore, folder / "none", 0, flattened=True, elf=elf)
    source = FlattenedSource(Source(folder / "stream"))
    data = source.read(0, source.size, "all")
    source.close()
    return data


@pytest.mark.parametrize("elf", [False, True], ids=["kdump-compressed", "ELF"])
def test_a_dump_with_holes_reads_as_a_stream_of_it_and_needs_less_room(
    elf: bool, machine: tuple[Vmcore, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, vmcore = machine
    dump = tmp_path / "dump"
    report = dump_of(core, vmcore, dump, 0, elf=elf)
    dry = dump_of(core, vmcore, dump.with_name("dry"), 0, elf=elf, dry_run=True)
    assert dump.read_bytes() == stream_of(core, vmcore, tmp_path, monkeypatch, elf)
    assert report.written == dry.written
    assert dump.stat().st_size > 60 * MIB
    assert on_disk(dump) < dump.stat().st_size / 2


def test_every_page_of_a_dump_with_holes_is_what_it_was(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "dump", 0)
    dump = DumpFile(tmp_path / "dump")
    assert dump.pfns
    assert all(dump.page(pfn) == core.page(pfn) for pfn in dump.pfns)


def test_an_older_file_shows_nowhere(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "new", 0)
    (tmp_path / "old").write_bytes(b"\xff" * (70 * MIB))
    dump_of(core, vmcore, tmp_path / "old", 0)  # As with -f.
    assert (tmp_path / "old").read_bytes() == (tmp_path / "new").read_bytes()


@pytest.fixture
def two_blocks(tmp_path: Path) -> tuple[Vmcore, Path]:
    core = build(MACHINES["4 KiB"])
    return core, core.elf(tmp_path / "vmcore")


# Page frames: zeros until 0x2000, data until 0x2200, zeros until 0x3000, and zeros at the end.
@pytest.mark.parametrize("pfn", [0x1800, 0x1FFF, 0x2100, 0x2200, 0x2A00, 0x3000, 0x3F00, 0x3FFF], ids=hex)
def test_a_size_limit_in_or_behind_a_hole_leaves_the_beginning_of_the_dump(
    pfn: int, two_blocks: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = two_blocks
    dump_of(core, vmcore, tmp_path / "whole", 0)
    whole = DumpFile(tmp_path / "whole")
    limit = whole.descriptors[pfn].offset + 1000
    with pytest.raises(NoSpaceError, match="The size limit of"):
        dump_of(core, vmcore, tmp_path / "dump", 0, size_limit=limit)
    left = DumpFile(tmp_path / "dump")
    assert len(left.data) == limit
    assert left.main["status"] & 8
    assert left.data[whole.data_offset :] == whole.data[whole.data_offset : limit]
    there = [number for number in whole.pfns if number < pfn]
    assert [number for number in left.pfns if left.descriptors[number].offset] == there
    assert all(left.descriptors[number] == whole.descriptors[number] for number in there)


@pytest.mark.parametrize("sizes", [[5 * BLOCK], [BLOCK], [BLOCK + 1], [3 * BLOCK, BLOCK - 1, 2 * BLOCK]], ids=str)
def test_a_file_of_zeros_alone_has_its_full_size_at_any_time(sizes: list[int], tmp_path: Path) -> None:
    path, end = tmp_path / "file", 0
    sink = FileSink(path)
    for size in sizes:
        sink.write(end, [bytes(size)])
        end += size
        assert path.stat().st_size == end == sink.written
    sink.close()
    assert not path.read_bytes().strip(b"\0")
    assert on_disk(path) <= len(sizes) * 2 * 4096 + (BLOCK if BLOCK - 1 in sizes else 0)


def test_zeros_over_data_are_written(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "file")
    sink.write(0, [ONES * 4])
    sink.write(BLOCK, [ZEROS])
    sink.correct(2 * BLOCK, ZEROS)
    sink.close()
    assert (tmp_path / "file").read_bytes() == ONES + ZEROS * 2 + ONES


def test_what_is_no_regular_file_gets_its_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stat, "S_ISREG", lambda mode: False)
    sink = FileSink(tmp_path / "file")
    sink.write(0, [ZEROS * 8])
    sink.close()
    assert on_disk(tmp_path / "file") >= 8 * BLOCK


@pytest.mark.parametrize("room", [0, 1, BLOCK + 5, 3 * BLOCK, 3 * BLOCK + 9, 6 * BLOCK - 1])
def test_how_much_of_a_write_is_there_is_known_when_a_device_is_full(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.pwritev

    def full(fd: int, buffers: Sequence[Any], offset: int) -> int:
        left = max(room - offset, 0)
        if not left:
            raise OSError(28, "No space left on device")
        return original(fd, [b"".join(buffers)[:left]], offset)

    monkeypatch.setattr(os, "pwritev", full)
    sink, data = FileSink(tmp_path / "file"), [ZEROS, ONES, ZEROS * 2, ONES, ZEROS]
    with pytest.raises(PartialWriteError) as failure:
        sink.write(0, data)
    sink.abandon()
    assert failure.value.written == room
    assert (tmp_path / "file").read_bytes() == b"".join(data)[:room]


@pytest.mark.parametrize("seed", range(20))
def test_stretches_are_the_buffers_without_zeros(seed: int) -> None:
    chance = random.Random(seed)
    data = b"".join(
        chance.choice((b"\0", b"\x02")) * chance.choice((1, 4096, BLOCK - 1, BLOCK, 3 * BLOCK + 5)) for _ in range(12)
    )
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(3))})
    buffers = [chance.choice((bytes, bytearray, memoryview))(data[a:b]) for a, b in pairwise(cuts)]
    rebuilt, end = bytearray(len(data)), 0
    for begin, pieces in stretches(buffers):
        assert begin >= end
        end = begin + sum(map(len, pieces))
        rebuilt[begin:end] = b"".join(pieces)
    assert (bytes(rebuilt), end) == (data, len(data))


def test_short_runs_of_zeros_are_no_holes() -> None:
    assert [at for at, _ in stretches([ONES + ZEROS[1:] + ONES])] == [0]
    assert [at for at, _ in stretches([ONES + ZEROS + ONES])] == [0, 2 * BLOCK]
    assert list(stretches([])) == list(stretches([b""])) == []
