# SPDX-License-Identifier: GPL-2.0-or-later
"""Damaged and hostile dumps are read, or end with an MdfError; memory does not grow with a number in them."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from factory import Anon, Cache, Free, KdumpStyle, Ram, Spec, build, flatten, place
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError
from mdf.core.kernel import Kernel, mem_map

MIB = 1 << 20
CORE = build(
    Spec(
        release="6.1.0",
        ram=(Ram(0x1000, 0x9F000), Ram(MIB, 12 * MIB)),
        pages=(place(2560, Free(order=3)), place(2600, Anon()), place(2700, Cache())),
    )
)
VALUES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
MEMORY_MAX = 200 * MIB


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("images")
    made = {"elf": CORE.elf(folder / "elf"), "kdump": CORE.kdump(folder / "kdump", KdumpStyle(zlib=True))}
    made["flattened"] = folder / "flattened"
    made["flattened"].write_bytes(flatten(made["kdump"]))
    return {name: path.read_bytes() for name, path in made.items()}


def read_all(path: Path) -> str:
    """Reads what a run reads before it copies; the error's text, or nothing."""
    try:
        with open_dump(path) as dump:
            if dump.info is None:
                return ""
            kernel = Kernel(dump, dump.info)
            pieces = mem_map(kernel, dump.max_mapnr)
            kernel.read(pieces[0].address + 2560 * 64, 64)
    except MdfError as error:
        return str(error) or "an error without a text"
    return ""


def check(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    try:
        return check_file(path)
    finally:
        path.unlink()


def check_file(path: Path) -> str:
    tracemalloc.start()
    try:
        answer = read_all(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    finally:
        tracemalloc.stop()
    assert "\n" not in answer
    return answer


@pytest.mark.parametrize("kind", ["elf", "kdump", "flattened"])
def test_the_image_that_is_damaged_below_is_sound(kind: str, images: dict[str, bytes], tmp_path: Path) -> None:
    assert check(images[kind], tmp_path / "dump") == ""


@pytest.mark.parametrize("kind", ["elf", "kdump", "flattened"])
def test_a_dump_cut_off_anywhere_in_its_headers_is_an_error(
    kind: str, images: dict[str, bytes], tmp_path: Path
) -> None:
    for length in (0, 1, 4, 16, 63, 64, 100, 463, 464, 1000, 4095, 4096, 4100, 4200, 5000, 8191):
        assert check(images[kind][:length], tmp_path / "dump")


@pytest.mark.parametrize("kind", ["elf", "kdump", "flattened"])
def test_any_word_of_the_headers_may_be_anything(kind: str, images: dict[str, bytes], tmp_path: Path) -> None:
    image = images[kind]
    places = range(0, 64 + 56 * 8, 4) if kind == "elf" else (*range(404, 464, 4), *range(4096, 4096 + 104, 4))
    path = tmp_path / "dump"
    path.write_bytes(image)
    with path.open("r+b", buffering=0) as file:
        for at in places:
            for value in VALUES:
                os.pwrite(file.fileno(), struct.pack("<I", value), at)
                check_file(path)
            os.pwrite(file.fileno(), image[at : at + 4], at)
    assert check_file(path) == ""


@pytest.mark.parametrize("kind", ["elf", "kdump", "flattened"])
def test_random_bytes_in_headers_notes_and_vmcoreinfo(kind: str, images: dict[str, bytes], tmp_path: Path) -> None:
    image, chance = images[kind], random.Random(kind)
    for _ in range(150):
        damaged = bytearray(image)
        for _ in range(chance.choice((1, 3, 20))):
            damaged[chance.randrange(12288)] = chance.randrange(256)
        check(bytes(damaged), tmp_path / "dump")


@pytest.mark.parametrize(
    "value", ["0", "1", "-1", "7", "4096", "99999999", str(1 << 62), str((1 << 63) - 1), "ffff", "x", ""]
)
def test_any_value_of_vmcoreinfo_may_be_anything(value: str, images: dict[str, bytes], tmp_path: Path) -> None:
    text = CORE.vmcoreinfo.encode() if isinstance(CORE.vmcoreinfo, str) else bytes(CORE.vmcoreinfo)
    image = images["elf"]
    at = image.index(text)
    for line in text.splitlines():
        key, _, old = line.partition(b"=")
        changed = text.replace(line, (key + b"=" + value.encode()).ljust(len(line))[: max(len(line), len(key) + 1)], 1)
        assert old is not None
        check(image[:at] + changed[: len(text)].ljust(len(text), b"\n") + image[at + len(text) :], tmp_path / "dump")
