# SPDX-License-Identifier: GPL-2.0-or-later
"""The factory's vmcores through an installed makedumpfile: its bitmaps and its report are the oracle's."""

import os
import re
import shlex
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

import pytest

from factory import MIB, ElfStyle, KdumpStyle, Model, Ram, Spec, Vmcore, flatten
from factory.generation import parse_release
from factory_selftest.helpers import SMALL, filled
from oracle import filter_pages

REPORT = {
    "Original pages": "original",
    "Pages filled with zero": "zero",
    "Non-private cache pages": "cache",
    "Private cache pages": "cache_private",
    "User process data pages": "user",
    "Free pages": "free",
    "Hwpoison pages": "hwpoison",
    "Offline pages": "offline",
    "Memory Hole": "hole",
}
LAST_KERNEL_OF_1_7_2 = (6, 1, 0)


@cache
def reference() -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The command, by default the distribution's, and its version."""
    found = shutil.which("makedumpfile", path="/usr/sbin:/usr/bin:/sbin:/bin")
    command = shlex.split(os.environ.get("MDF_REFERENCE", found or ""))
    if not command:
        pytest.skip("no makedumpfile: apt-get install makedumpfile, or set MDF_REFERENCE to the command")
    text = subprocess.run([*command, "-v"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"version (\d+)\.(\d+)\.(\d+)", text)
    assert version, text
    return tuple(command), tuple(map(int, version.groups()))


def run(*arguments: object) -> str:
    command, _ = reference()
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compare(core: Vmcore, tmp_path: Path, level: int, style: ElfStyle | None = None) -> None:
    vmcore, dump = core.elf(tmp_path / "vmcore", style), tmp_path / "dump"
    text = run("-f", "--message-level", 21, "-d", level, vmcore, dump)
    data = dump.read_bytes()
    block, sub, blocks = struct.unpack_from("<iiI", data, 428)
    start, half = (1 + sub) * block, blocks // 2 * block
    bitmap1, bitmap2, counters = filter_pages(vmcore, level)
    assert data[start : start + half] == bitmap1
    assert data[start + half : start + 2 * half] == bitmap2
    report = {name.strip(): int(value, 16) for name, value in re.findall(r"^ *(\w[\w -]+): 0x(\w{16})$", text, re.M)}
    assert {key: report[key] for key in REPORT} == {key: getattr(counters, name) for key, name in REPORT.items()}


@pytest.mark.parametrize(
    "release",
    ["2.6.18", "2.6.24", "2.6.32", "2.6.39", "3.10.0", "3.17.0", "4.4.0", "4.14.0", "4.16.0", "4.19.0", "5.10.0",
     "6.1.0", "6.2.0", "6.5.0", "6.8.0", "6.9.0", "6.12.0", "7.2.0"],
)  # fmt: skip
def test_bitmaps_and_report_are_the_oracle_s_for_every_generation(release: str, tmp_path: Path) -> None:
    _, version = reference()
    if version < (1, 7, 8) and parse_release(release) > LAST_KERNEL_OF_1_7_2:
        pytest.skip(f"makedumpfile {'.'.join(map(str, version))} doesn't know kernel {release}")
    core = filled(Spec(release=release, ram=SMALL))
    for level in (1, 2, 4, 8, 16, 31):
        compare(core, tmp_path, level)


@pytest.mark.parametrize("model", Model)
@pytest.mark.parametrize("release", ["2.6.32", "5.10.0"])
@pytest.mark.parametrize(
    "change",
    [{}, {"vmemmap": "4K", "direct_leaf": "4K", "image_leaf": "4K"}, {"vmemmap": None, "direct_leaf": "1G"}],
    ids=str,
)
def test_bitmaps_and_report_are_the_oracle_s_for_every_memory_model(
    model: Model, release: str, change: dict[str, object], tmp_path: Path
) -> None:
    ram = (*SMALL, Ram(130 * MIB, 140 * MIB + 0x1000))
    physmem_bits = 36 if model is Model.SPARSEMEM else None
    core = filled(Spec(release=release, model=model, ram=ram, max_physmem_bits=physmem_bits, **change))  # type: ignore[arg-type]
    compare(core, tmp_path, 31)


@pytest.mark.parametrize(
    "change",
    [{"kaslr": 0x1F000000}, {"levels": 5}, {"sme_mask": 1 << 47}, {"root_pointer": True}, {"text_segment": False},
     {"cpus": 5}, {"ram": (Ram(0x1400, 0x9EC00), Ram(1 * MIB, 12 * MIB + 0x800))},
     {"ram": (Ram(0x1000, 0x9F000), Ram(1 * MIB, 16 * MIB, 12 * MIB))}],
    ids=str,
)  # fmt: skip
def test_bitmaps_and_report_are_the_oracle_s_for_every_machine(change: dict[str, object], tmp_path: Path) -> None:
    core = filled(Spec(**{"release": "5.10.0", "ram": SMALL} | change))  # type: ignore[arg-type]
    for level in (0, 1, 31):
        compare(core, tmp_path, level)


def test_extended_numbering_is_read(tmp_path: Path) -> None:
    compare(filled(Spec(ram=SMALL)), tmp_path, 31, ElfStyle(headers=70_000))


def test_a_dump_of_the_factory_is_byte_for_byte_the_reference_s(tmp_path: Path) -> None:
    core = filled(Spec(ram=SMALL))
    run("-d", 31, core.elf(tmp_path / "vmcore"), tmp_path / "theirs")
    ours = core.kdump(tmp_path / "ours", KdumpStyle(level=31, excluded=core.excluded(31)))
    assert ours.read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("version", [4, 5, 6])
def test_the_reference_filters_a_dump_of_the_factory_again(version: int, tmp_path: Path) -> None:
    core = filled(Spec(ram=SMALL))
    first = core.kdump(tmp_path / "2", KdumpStyle(version=version, zlib=True, level=2, excluded=core.excluded(2)))
    run("-d", 31, first, tmp_path / "theirs")
    ours = core.kdump(tmp_path / "ours", KdumpStyle(level=31, excluded=core.excluded(31)))
    assert ours.read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_reference_rearranges_a_stream_of_the_factory(tmp_path: Path) -> None:
    path = filled(Spec(ram=SMALL)).kdump(tmp_path / "dump")
    command, _ = reference()
    subprocess.run([*command, "-f", "-R", tmp_path / "out"], input=flatten(path), check=True, capture_output=True)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
