# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs that these tests run: ours, the reference, and the other judges; whoever misses one is skipped."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from children import environment
from judges import fetch

TIMEOUT = 300  # seconds for each run
FETCH = "run `python tests/judges/fetch.py`"


@dataclass
class Makedumpfile:
    """A makedumpfile, and the dumps it has made in `folder`: each is made once."""

    command: tuple[str, ...]
    folder: Path
    dumps: dict[tuple[Path, tuple[str, ...]], Path] = field(default_factory=dict)

    def dump(self, vmcore: Path, *options: str) -> Path:
        """The dump of `vmcore` with `options`."""
        key = (vmcore, options)
        if key not in self.dumps:
            target = self.folder / f"{len(self.dumps)}{''.join(options).replace(' ', '')}"
            self.run(*options, str(vmcore), str(target))
            self.dumps[key] = target
        return self.dumps[key]

    def split(self, vmcore: Path, files: int, *options: str) -> list[Path]:
        """The files of a split dump of `vmcore`; they are made anew each time."""
        targets = [self.folder / f"part{number}" for number in range(files)]
        self.run("--split", "-f", *options, str(vmcore), *map(str, targets))
        return targets

    def rearranged(self, stream: Path) -> Path:
        """The dump in a flattened stream; it is made anew each time."""
        target = self.folder / f"{stream.name}.rearranged"
        with stream.open("rb") as source:
            command = [*self.command, "-R", "-f", str(target)]
            subprocess.run(
                command, stdin=source, env=environment(), timeout=TIMEOUT, stdout=subprocess.DEVNULL, check=True
            )
        return target

    def dmesg(self, vmcore: Path) -> bytes:
        """The kernel's log out of `vmcore`."""
        target = self.folder / "dmesg"
        target.unlink(missing_ok=True)
        self.run("--dump-dmesg", str(vmcore), str(target))
        return target.read_bytes()

    def has(self, codec: str) -> bool:
        """Whether it can compress so; its version text tells."""
        return f"{codec}\tenabled" in self.run("-v")

    def run(self, *arguments: str) -> str:
        """What it prints; it has to succeed."""
        return output(*self.command, *arguments, environment=environment())


def ours() -> tuple[str, ...]:
    """The makedumpfile to judge: this project's, unless MDF_MAKEDUMPFILE is another's command line."""
    return tuple(shlex.split(os.environ.get("MDF_MAKEDUMPFILE", ""))) or (sys.executable, "-m", "makedumpfile")


def found(program: str, which: str) -> tuple[str, ...]:
    """The command line of an original: the machine's own ("installed"), never ours, or the "newest" of Debian."""
    if which == "newest":
        return fetch.newest(program) or skip(f"the newest {program} was not fetched", FETCH)
    path = shutil.which(program, path="/usr/bin:/usr/sbin")
    return (path or skip(f"{program} is not installed", f"apt-get install {program}"),)


def gdb() -> tuple[str, ...]:
    """The gdb of the machine, without anybody's settings."""
    return (*found("gdb", "installed"), "-nx", "-batch")


def vmlinux(item: str) -> Path:
    """The debug information of the item's kernel."""
    return fetch.vmlinux(item) or skip(f"the debug information of {item}'s kernel was not fetched", FETCH)


def output(*command: str, stdin: str = "", environment: dict[str, str] | None = None) -> str:
    """What a program prints; it has to succeed."""
    result = subprocess.run(
        command, input=stdin, env=environment, timeout=TIMEOUT, capture_output=True, text=True, errors="replace"
    )
    assert result.returncode == 0, f"{shlex.join(command)}: {result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    return result.stdout


def skip(reason: str, remedy: str) -> NoReturn:
    """Skip the test, saying what would let it run."""
    pytest.skip(f"{reason}: {remedy}")
