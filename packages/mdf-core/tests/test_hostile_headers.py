# SPDX-License-Identifier: GPL-2.0-or-later
"""Every field of every header at its extremes, and files made to cost memory or time: read, or one of our errors."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factory import MIB, ElfStyle, KdumpStyle, Ram, Spec, build, flatten
from mdf.core.dumps import open_dump
from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError, MdfError
from mdf.core.kernel import Kernel, mem_map

CORE = build(Spec(ram=(Ram(0x1000, 0x9F000), Ram(1 * MIB, 6 * MIB))))
ELF_FIELDS = (
    (4, 1),
    (5, 1),
    (16, 2),
    (18, 2),
    (20, 4),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 4),
    (52, 2),
    (54, 2),
    (56, 2),
    (58, 2),
)
ELF32_FIELDS = ((4, 1), (5, 1), (18, 2), (24, 4), (28, 4), (32, 4), (36, 4), (40, 2), (42, 2), (44, 2), (46, 2))
PROGRAM_FIELDS = ((0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8))
MAIN_FIELDS = (
    (8, 4),
    (272, 8),
    (408, 8),
    (416, 8),
    (424, 4),
    (428, 4),
    (432, 4),
    (436, 4),
    (440, 4),
    (444, 4),
    (460, 4),
)
SUB_FIELDS = (
    (0, 8),
    (8, 4),
    (12, 4),
    (16, 8),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 8),
    (56, 8),
    (64, 8),
    (72, 8),
    (80, 8),
    (96, 8),
)

FIELDS = {
    "elf": [*ELF_FIELDS, *((64 + 56 * number + at, size) for number in range(4) for at, size in PROGRAM_FIELDS)],
    "elf32": [*ELF32_FIELDS, *((52 + at, 4) for at in range(0, 32 * 4, 4))],
    "kdump": [*MAIN_FIELDS, *((4096 + at, size) for at, size in SUB_FIELDS)],
    "flattened": [(0, 8), (16, 8), (24, 8), *((4096 + at, 8) for at in range(0, 64, 8))],
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    paths = {
        "elf": CORE.elf(folder / "elf"),
        "elf32": CORE.elf(folder / "elf32", ElfStyle(bits=32)),
        "kdump": CORE.kdump(folder / "kdump", KdumpStyle(zlib=True, level=1)),
        "flattened": folder / "flattened",
    }
    paths["flattened"].write_bytes(flatten(paths["kdump"]))
    return paths


def attempt(path: Path) -> MdfError | None:
    """What a run reads before it copies, and the first and last pages."""
    try:
        with open_dump(path) as dump:
            if dump.info is not None:
                kernel = Kernel(dump, dump.info)
                mem_map(kernel, dump.max_mapnr)
            for pfn in (1, 0x100, dump.max_mapnr - 1):
                dump.read(pfn * dump.page_size, 64)
    except MdfError as error:
        return error
    return None


def is_one_line(error: MdfError) -> bool:
    return bool(str(error)) and "\n" not in str(error)


def extremes(old: int, size: int) -> Iterator[int]:
    top = 1 << 8 * size
    yield from {0, top - 1, top // 2 - 1, top // 2, (old + 1) % top, (old - 1) % top} - {old}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_sound_dump_is_read(kind: str, sound: dict[str, Path]) -> None:
    assert attempt(sound[kind]) is None


@pytest.mark.parametrize("kind", FIELDS)
def test_every_field_may_be_nothing_all_or_one_off(kind: str, sound: dict[str, Path]) -> None:
    failed = 0
    with sound[kind].open("r+b", buffering=0) as file:
        for at, size in FIELDS[kind]:
            old = os.pread(file.fileno(), size, at)
            for value in extremes(int.from_bytes(old, "little"), size):
                os.pwrite(file.fileno(), value.to_bytes(size, "little"), at)
                error = attempt(sound[kind])
                if error is not None:
                    failed += 1
                    assert is_one_line(error)
            os.pwrite(file.fileno(), old, at)
    assert failed > len(FIELDS[kind])
    assert attempt(sound[kind]) is None


@pytest.mark.parametrize("kind", FIELDS)
def test_a_dump_cut_off_is_an_error_of_ours_wherever_it_ends(kind: str, sound: dict[str, Path], tmp_path: Path) -> None:
    data = sound[kind].read_bytes()
    chance = random.Random(kind)
    for length in (*(chance.randrange(9000) for _ in range(40)), len(data) // 2, len(data) - 1):
        path = tmp_path / "cut"
        path.write_bytes(data[:length])
        assert isinstance(attempt(path), MdfError) or length > 9000


def test_damaged_streams_read_like_the_records_that_are_there(tmp_path: Path) -> None:
    chance = random.Random(4)
    for number in range(60):
        plain, stream = bytearray(3000), b"makedumpfile".ljust(16, b"\x00") + struct.pack(">qq", 1, 1)
        stream = stream.ljust(4096, b"\x00")
        top = 0
        for _ in range(chance.randrange(1, 30)):
            start, data = chance.randrange(2000), chance.randbytes(chance.choice((1, 10, 300, 1000)))
            plain[start : start + len(data)] = data
            top = max(top, start + len(data))
            stream += struct.pack(">qq", start, len(data)) + data
        path = tmp_path / f"{number}"
        path.write_bytes(stream + b"\xff" * 16)
        source = FlattenedSource(Source(path))
        assert source.size == top
        assert source.read(0, top, "all") == plain[:top]
        for _ in range(30):
            start = chance.randrange(top)
            end = chance.randrange(start, top + 1)
            assert source.read(start, end - start, "a part") == plain[start:end]
        with pytest.raises(FormatError, match="truncated"):
            source.read(top - 1, 2, "too much")
        source.close()


def _elf(loads: list[tuple[int, int]], note: bytes = b"", count: int | None = None, shoff: int = 0) -> bytes:
    total = len(loads) + 1
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\x00")
    head += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, shoff, 0, 64, 56, count or total, 64, 1, 0)
    at = 64 + total * 56
    note = note or struct.pack("<III", 0, 0, 0)
    table = struct.pack("<IIQQQQQQ", 4, 0, at, 0, 0, len(note), len(note), 4)
    table += b"".join(struct.pack("<IIQQQQQQ", 1, 7, 0, 0, start, 0, size, 0) for start, size in loads)
    return head + table + note


def _record(start: int, data: bytes) -> bytes:
    return struct.pack(">qq", start, len(data)) + data


def _stream(*records: bytes) -> bytes:
    head = (b"makedumpfile".ljust(16, b"\x00") + struct.pack(">qq", 1, 1)).ljust(4096, b"\x00")
    return head + b"".join(records) + b"\xff" * 16


def _many_headers() -> bytes:
    small = [(number << 14, 4096) for number in range(30_000)]
    return _elf([*small, *((number, 30_000 << 14) for number in range(30_000))])


def _endless_count() -> bytes:
    section = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 1, 0, 0xFFFFFFFF, 0, 0)
    return _elf([(0, 4096)], section, count=0xFFFF, shoff=64 + 2 * 56)


def _main_header(max_mapnr: int, blocks: int) -> bytes:
    head = b"KDUMP   " + struct.pack("<i", 6) + bytes(390) + bytes(6) + struct.pack("<qq", 0, 0)
    head += struct.pack("<IiiIIIIIIi", 0, 4096, 1, blocks, min(max_mapnr, 0xFFFFFFFF), 0, 0, 0, 0, 1)
    return head.ljust(4096, b"\x00") + struct.pack("<QiiQQqQqQqQQQQ", *[0] * 13, max_mapnr).ljust(4096, b"\x00")


HOSTILE: dict[str, Callable[[], bytes]] = {
    "60000 segments over each other": _many_headers,
    "4 billion program headers": _endless_count,
    "memory up to the end": lambda: _elf([((1 << 64) - 4097, 4096)]),
    "memory without end": lambda: _elf([(0, (1 << 64) - 1)]),
    "2 TiB of memory in a small file": lambda: _elf([(0, 1 << 41)]),
    "pages without end": lambda: _main_header((1 << 64) - 1, 0xFFFFFFFE),
    "pages up to what is granted": lambda: _main_header(1 << 28, 2 << 13),
    "a stream that claims 32 PiB": lambda: _stream(_record(0, _main_header(1 << 45, 2 << 30)), _record(1 << 55, b"x")),
    "a stream with huge bitmaps": lambda: _stream(_record(0, _main_header(1 << 28, 2 << 13)), _record(1 << 40, b"x")),
    "a stream of records over each other": lambda: _stream(
        *(_record(number, bytes(20_000 - number)[:400]) for number in range(20_000))
    ),
}
# Prints the error, as a command would; any other exception is a traceback and status 1.
CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError
try:
    with open_dump(sys.argv[1]) as dump:
        dump.read((dump.max_mapnr - 1) * dump.page_size, 16)
except MdfError as error:
    print(error)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_made_to_cost_memory_or_time_costs_little(name: str, tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_bytes(HOSTILE[name]())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", CHILD, str(path)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("\n") <= 1
    assert sum(file.stat().st_blocks for file in tmp_path.iterdir()) * 512 < 64 * MIB
