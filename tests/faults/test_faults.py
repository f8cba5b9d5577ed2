# SPDX-License-Identifier: GPL-2.0-or-later
"""Every fault under every command: an exit status, a message, nothing that passes for complete, no file too many."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory import MIB, KdumpStyle, Ram, Spec, Vmcore, build, flatten, random_layout
from factory.printk import LocklessRing, Message
from mdf.capture.check import State, check_dump
from mdf.core.errors import MdfError


@dataclass(frozen=True)
class Command:
    """A command under test. `inputs` are made beforehand; it writes `outputs`, or standard output if `streams`."""

    module: str
    options: tuple[str, ...]
    inputs: tuple[str, ...] = ("input",)
    outputs: tuple[str, ...] = ("output",)
    streams: bool = False
    reads_stream: bool = False
    is_dump: bool = True


COMMANDS = {
    "capture": Command("mdf.capture.cli", ("-c", "-d", "31")),
    "capture -E": Command("mdf.capture.cli", ("-E", "-d", "31")),
    "capture -F": Command("mdf.capture.cli", ("-F", "-c", "-d", "31"), outputs=(), streams=True),
    "split": Command("mdf.split.cli", ("-d", "31"), outputs=("output", "output2")),
    "reassemble": Command("mdf.split.reassemble", (), inputs=("input", "input2")),
    "dmesg": Command("mdf.dmesg.cli", (), is_dump=False),
    "rearrange": Command("mdf.rearrange", (), inputs=(), reads_stream=True),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the inputs are, by name; the stream has a name of its own."""
    spec = Spec(release="6.1.0", ram=(Ram(1 * MIB, 12 * MIB),))
    ring = LocklessRing(spec, count_bits=5, size_bits=11)
    for number in range(30):
        ring.append(Message(b"message %d" % number))
    core: Vmcore = ring.put_into(build(random_layout(spec, seed=5)))
    folder = tmp_path_factory.mktemp("inputs")
    middle = core.max_mapnr // 2
    core.elf(folder / "vmcore")
    core.kdump(folder / "one", KdumpStyle(zlib=True, level=1, split=(0, middle)))
    core.kdump(folder / "two", KdumpStyle(zlib=True, level=1, split=(middle, core.max_mapnr)))
    core.kdump(folder / "dump", KdumpStyle(zlib=True, level=1))
    found = {name: (folder / name).read_bytes() for name in ("vmcore", "one", "two")}
    return {**found, "stream": flatten(folder / "dump")}


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    status: int
    err: str
    folder: Path
    outputs: tuple[Path, ...]

    @property
    def passes_for_complete(self) -> bool:
        """Whether there is something that a reader takes for a whole dump."""
        if not all(path.is_file() and path.stat().st_size for path in self.outputs):
            return False
        try:
            return check_dump(self.outputs).state is State.SOUND
        except MdfError:
            return False


def run(
    name: str, files: dict[str, bytes], folder: Path, fault: str = "none", count: int = 0, *more: str, **where: Path
) -> Outcome:
    """Runs a command in `folder` with a fault; `where` has other places for outputs."""
    command = COMMANDS[name]
    contents = [files["one"], files["two"]] if len(command.inputs) == 2 else [files["vmcore"]]
    inputs = [folder / input_ for input_ in command.inputs]
    for path, data in zip(inputs, contents, strict=False):
        path.write_bytes(data)
    (folder / "stream").write_bytes(files["stream"])
    outputs = tuple(where.get(output, folder / output) for output in command.outputs)
    arguments = [*command.options, *more, *map(str, (*inputs, *outputs))]
    sent = folder / "sent"
    with (folder / "stream").open("rb") as stdin, sent.open("wb") as stdout:
        result = subprocess.run(
            [sys.executable, "-m", "faults.inject", fault, str(count), command.module, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=False,
        )
    if fault != "shrink":
        for path, data in zip(inputs, contents, strict=False):
            assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()
    outputs = (sent,) if command.streams else outputs
    return Outcome(result.returncode, result.stderr.decode(), folder, outputs)


def assert_clean(outcome: Outcome, name: str, *, silent: bool = False, partial: bool = False) -> None:
    """Whatever happened: it shows, in the exit status, in a message, and in what is left."""
    command = COMMANDS[name]
    assert "Traceback" not in outcome.err
    if outcome.status == 0:
        assert outcome.passes_for_complete or not command.is_dump
    else:
        assert silent or outcome.err.strip()
        assert not (command.is_dump and outcome.passes_for_complete)
    known = {"stream", "sent", *command.inputs, *command.outputs}
    left = {path.name for path in outcome.folder.iterdir()} - known
    assert not left or (partial and all("partial" in path or path.startswith(".") for path in left)), left


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_fault_the_output_is_whole(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path)
    assert outcome.status == 0, outcome.err
    assert_clean(outcome, name)


@pytest.mark.parametrize("count", [0, 3, 11])
@pytest.mark.parametrize("fault", ["read-eio", "write-eio", "enospc"])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_error_of_a_device(name: str, fault: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, fault, count)
    assert_clean(outcome, name)
    if count == 0:
        assert outcome.status == 1


@pytest.mark.parametrize("count", [2, 9])
@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.inputs])
def test_a_vmcore_that_shrinks(name: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, "shrink", count)
    assert_clean(outcome, name)
    assert outcome.status in (0, 1)


@pytest.mark.parametrize("count", [0, 2, 7])
@pytest.mark.parametrize("fault", ["sigterm", "sigkill"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal(name: str, fault: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, fault, count)
    assert_clean(outcome, name, silent=True, partial=fault == "sigkill")
    if count == 0:
        assert outcome.status != 0


def test_a_reader_of_the_stream_that_goes_away(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(files["vmcore"])
    command = [sys.executable, "-m", "faults.inject", "none", "0", "mdf.capture.cli", "-F", str(tmp_path / "input")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10_000)
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=60) == 1
    assert "Traceback" not in err
    assert "The reader of the output went away." in err


@pytest.mark.parametrize("name", COMMANDS)
def test_no_temporary_directory(
    name: str, files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    outcome = run(name, files, tmp_path)
    assert outcome.status == 0, outcome.err
    assert_clean(outcome, name)


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.outputs])
def test_a_directory_that_takes_no_file(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, output=Path("/proc/self/output"))
    assert outcome.status == 1
    assert_clean(outcome, name)


def make(kind: str, folder: Path) -> Path:
    path = folder / "output"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        path.symlink_to(folder / "stream")
    elif kind == "dangling":
        path.symlink_to(folder / "nowhere")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize("force", [(), ("-f",)])
@pytest.mark.parametrize("kind", ["fifo", "directory"])
@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.outputs])
def test_an_output_that_is_no_file(
    name: str, kind: str, force: Sequence[str], files: dict[str, bytes], tmp_path: Path
) -> None:
    make(kind, tmp_path)
    outcome = run(name, files, tmp_path, "none", 0, *force)
    assert outcome.status == 1, outcome.err
    assert_clean(outcome, name)


@pytest.mark.parametrize("kind", ["symlink", "dangling"])
@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.outputs])
def test_a_link_is_not_followed_without_force(name: str, kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    link = make(kind, tmp_path)
    outcome = run(name, files, tmp_path)
    assert outcome.status == 1
    assert link.is_symlink()
    assert (tmp_path / "stream").read_bytes() == files["stream"]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_clock_that_jumps(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, "clock")
    assert outcome.status == 0, outcome.err
    assert_clean(outcome, name)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("name", COMMANDS)
def test_no_file_descriptor_left_or_one(name: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, "descriptors", count)
    assert_clean(outcome, name)
