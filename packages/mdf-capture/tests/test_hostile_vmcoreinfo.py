# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a vmcoreinfo says, the run ends soon, in a dump or in one of our errors."""

from __future__ import annotations

import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
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
MEMORY_MAX = 128 * MIB
SECONDS_MAX = 5
ROOM = 1000  # for longer texts


def _too_slow(number: int, frame: object) -> None:
    raise AssertionError(f"more than {SECONDS_MAX} seconds of processor time")


@contextmanager
def bounded() -> Iterator[None]:
    """The body must end within bounds of processor time and memory, without any error that is not ours."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGPROF, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_MAX, before[1]))
    signal.setitimer(signal.ITIMER_PROF, SECONDS_MAX)
    try:
        with suppress(MdfError):
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, handler)


@dataclass(frozen=True)
class Target:
    """A machine, and its vmcore, whose vmcoreinfo is at byte `at` and has room behind it."""

    core: Vmcore
    vmcore: Path
    at: int

    @property
    def lines(self) -> list[str]:
        return self.core.vmcoreinfo.splitlines()

    def run(self, text: str, level: int = 31) -> None:
        """Makes a dump of the vmcore with another vmcoreinfo."""
        raw = text.encode("ascii", "replace").ljust(len(self.core.vmcoreinfo) + ROOM, b"\n")
        with self.vmcore.open("r+b") as file:
            file.seek(self.at)
            file.write(raw)
        with bounded():
            dump_of(self.core, self.vmcore, self.vmcore.with_name("dump"), level)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    made = {}
    for name, spec in SPECS.items():
        core = build(random_layout(replace(spec, default_content=Content.ZERO), 3))
        roomy = replace(core, vmcoreinfo=core.vmcoreinfo + "\n" * ROOM)
        vmcore = roomy.elf(tmp_path_factory.mktemp(name) / "vmcore")
        made[name] = Target(core, vmcore, vmcore.read_bytes().index(roomy.vmcoreinfo.encode()))
    return made


@pytest.mark.parametrize("name", SPECS)
def test_each_key_with_absurd_values(name: str, targets: dict[str, Target]) -> None:
    target, source = targets[name], random.Random(name)
    lines = target.lines
    for index, line in enumerate(lines):
        for value in source.sample(ABSURD, 2):
            target.run("\n".join((*lines[:index], f"{line.split('=')[0]}={value}", *lines[index + 1 :])))


@pytest.mark.parametrize("name", SPECS)
def test_each_key_left_out(name: str, targets: dict[str, Target]) -> None:
    lines = targets[name].lines
    for index in range(len(lines)):
        targets[name].run("\n".join((*lines[:index], *lines[index + 1 :])))


@pytest.mark.parametrize("seed", range(24))
def test_random_changes_of_several_lines(seed: int, targets: dict[str, Target]) -> None:
    source = random.Random(seed)
    target = targets[source.choice(list(SPECS))]
    lines = target.lines
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
    target.run("\n".join(lines), source.choice((1, 8, 16, 31)))


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_in_the_text(seed: int, targets: dict[str, Target]) -> None:
    source = random.Random(seed)
    target = targets[source.choice(list(SPECS))]
    text = list(target.core.vmcoreinfo)
    for _ in range(30):
        text[source.randrange(len(text))] = chr(source.randrange(128))
    target.run("".join(text))


@pytest.mark.parametrize("seed", range(12))
def test_random_bytes_in_the_headers_of_the_vmcore(seed: int, targets: dict[str, Target], tmp_path: Path) -> None:
    source = random.Random(seed)
    core = targets["6.16"].core
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
    seed: int, targets: dict[str, Target], tmp_path: Path
) -> None:
    source = random.Random(seed)
    for core in (target.core for target in targets.values()):
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
