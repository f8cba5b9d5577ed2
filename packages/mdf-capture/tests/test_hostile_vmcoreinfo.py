# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a vmcoreinfo says, the run ends soon, in a dump or in one of our errors."""

from __future__ import annotations

import random
import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from captures import dump_of
from factory import MIB, Content, KdumpStyle, Lookup, Model, Ram, Spec, Vmcore, build, random_layout
from mdf.core.errors import MdfError

RAM = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 6 * MIB))
SPECS = {
    "6.16": Spec(release="6.16.0", ram=RAM),
    "5.10": Spec(release="5.10.0", ram=RAM, model=Model.SPARSEMEM),
    "3.10": Spec(release="3.10.0", ram=RAM, model=Model.DISCONTIGMEM, nodes=((0, 700), (700, 1536))),
    "2.6.24": Spec(release="2.6.24", ram=RAM, model=Model.FLATMEM, lookup=Lookup.PGDAT_LIST),
}
ABSURD = (
    "-1", "0", "1", "3", "7", "63", "64", "65", "4095", "4096", "65535", "1048576", "4294967295", "-2147483648",
    "9223372036854775807", "18446744073709551615", "18446744073709551616", "-9223372036854775809", "1" * 400, "", "x",
    "0x10", "ffffffff81000000", "ffff888000000000", "1_000", "\x00", "é",
)  # fmt: skip
MEMORY_MAX = 96 * MIB
SECONDS_MAX = 5.0


@contextmanager
def bounded() -> Iterator[None]:
    """The body must end within bounds of processor time and memory, without any error that is not ours."""
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        with suppress(MdfError):
            yield
        after = resource.getrusage(resource.RUSAGE_SELF)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS_MAX
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def machines() -> dict[str, Vmcore]:
    return {name: build(random_layout(replace(spec, default_content=Content.ZERO), 3)) for name, spec in SPECS.items()}


def _run(core: Vmcore, text: str, folder: Path, level: int = 31) -> None:
    vmcore = replace(core, vmcoreinfo=text).elf(folder / "vmcore")
    with bounded():
        dump_of(core, vmcore, folder / "dump", level)


@pytest.mark.parametrize("name", SPECS)
def test_each_key_with_an_absurd_value(name: str, machines: dict[str, Vmcore], tmp_path: Path) -> None:
    core, source = machines[name], random.Random(name)
    lines = core.vmcoreinfo.splitlines()
    for index, line in enumerate(lines):
        for value in source.sample(ABSURD, 2):
            _run(core, "\n".join((*lines[:index], f"{line.split('=')[0]}={value}", *lines[index + 1 :])), tmp_path)


@pytest.mark.parametrize("name", SPECS)
def test_each_key_left_out(name: str, machines: dict[str, Vmcore], tmp_path: Path) -> None:
    lines = machines[name].vmcoreinfo.splitlines()
    for index in range(len(lines)):
        _run(machines[name], "\n".join((*lines[:index], *lines[index + 1 :])), tmp_path)


@pytest.mark.parametrize("seed", range(24))
def test_random_changes_of_several_lines(seed: int, machines: dict[str, Vmcore], tmp_path: Path) -> None:
    source = random.Random(seed)
    core = machines[source.choice(list(SPECS))]
    lines = core.vmcoreinfo.splitlines()
    for _ in range(source.randint(1, 8)):
        index = source.randrange(len(lines))
        key, _, value = lines[index].partition("=")
        lines[index] = source.choice(
            (
                f"{key}={source.choice(ABSURD)}",
                f"{key}={source.choice(lines).partition('=')[2]}",
                f"{key}={value}{source.randrange(10)}",
                f"{source.choice(lines).partition('=')[0]}={value}",
                lines[index][: source.randrange(len(lines[index]) + 1)],
            )
        )
    _run(core, "\n".join(lines), tmp_path, source.choice((1, 8, 16, 31)))


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_in_the_text(seed: int, machines: dict[str, Vmcore], tmp_path: Path) -> None:
    source = random.Random(seed)
    core = machines[source.choice(list(SPECS))]
    text = list(core.vmcoreinfo)
    for _ in range(30):
        text[source.randrange(len(text))] = chr(source.randrange(128))
    _run(core, "".join(text), tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_random_bytes_in_the_headers_of_the_vmcore(seed: int, machines: dict[str, Vmcore], tmp_path: Path) -> None:
    source = random.Random(seed)
    core = machines["6.16"]
    elf, kdump = core.elf(tmp_path / "elf"), core.kdump(tmp_path / "kdump", KdumpStyle(zlib=True, level=1))
    for vmcore, size in ((elf, 64 + 56 * 4 + 200), (kdump, 4096 * 2)):
        whole = vmcore.read_bytes()
        for _ in range(4):
            data = bytearray(whole)
            for _ in range(source.choice((1, 2, 8))):
                data[source.randrange(size)] = source.randrange(256)
            vmcore.write_bytes(data)
            with bounded():
                dump_of(core, vmcore, tmp_path / "dump", 31)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_in_the_memory_that_describes_memory(
    seed: int, machines: dict[str, Vmcore], tmp_path: Path
) -> None:
    source = random.Random(seed)
    for core in machines.values():
        vmcore = core.elf(tmp_path / "vmcore")
        image, data = core.machine.image_paddr, bytearray(vmcore.read_bytes())
        at = data.find(bytes(core.page(image // 4096 + 4)))
        for _ in range(200):
            data[at + source.randrange(0x8000)] = source.randrange(256)
        for _ in range(2000):
            data[source.randrange(at, len(data))] ^= 1 << source.randrange(8)
        vmcore.write_bytes(data)
        with bounded():
            dump_of(core, vmcore, tmp_path / "dump", 31)
