# SPDX-License-Identifier: GPL-2.0-or-later
"""Every fault under every command: an exit status, a message, nothing that passes for complete, no file too many."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from children import environment
from factory import MIB, KdumpStyle, Ram, Spec, Vmcore, build, flatten, random_layout
from factory.printk import LocklessRing, Message
from factory.xen import XenHost, XenSpec
from kernels import vmlinux_of
from mdf.capture.check import State, check_dump
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError


class Kind(Enum):
    """What a command makes: a dump, a text that is whole or not there, a log that may be cut, or an answer."""

    DUMP, TEXT, LOG, ANSWER = range(4)


@dataclass(frozen=True)
class Command:
    """A command under test, whose arguments name `inputs` and `outputs` after "{}" each.

    `reads` are the contents that the inputs have, or is that of standard input; it writes `outputs`, or standard output
    if it has none.
    """

    module: str
    arguments: str
    reads: tuple[str, ...] = ("vmcore",)
    outputs: tuple[str, ...] = ("output",)
    kind: Kind = Kind.DUMP

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of input files."""
        return () if self.reads == ("stream",) else ("input", "input2")[: len(self.reads)]

    def words(self, folder: Path, outputs: Sequence[Path]) -> list[str]:
        """The arguments for files in a folder."""
        names = {name: str(folder / name) for name in self.inputs}
        names |= dict(zip(self.outputs, map(str, outputs), strict=True))
        return [word.format(**names) for word in self.arguments.split()]


COMMANDS = {
    "capture": Command("mdf.capture.cli", "-c -d 31 {input} {output}"),
    "capture -E": Command("mdf.capture.cli", "-E -d 31 {input} {output}"),
    "capture -F": Command("mdf.capture.cli", "-F -c -d 31 {input}", outputs=()),
    "split": Command("mdf.split.cli", "-d 31 {input} {output} {output2}", outputs=("output", "output2")),
    "reassemble": Command("mdf.split.reassemble", "{input} {input2} {output}", reads=("one", "two")),
    "dmesg": Command("mdf.dmesg.cli", "{input} {output}", kind=Kind.LOG),
    "rearrange": Command("mdf.rearrange", "{output}", reads=("stream",)),
    "xen": Command("mdf.xen.cli", "-X -c -d 31 {input} {output}", reads=("host",)),
    "vmcoreinfo": Command("mdf.vmcoreinfo.cli", "-g {output} -x {input}", reads=("vmlinux",), kind=Kind.TEXT),
    "check": Command("mdf.capture.cli", "--check-dump {input}", reads=("dump",), outputs=(), kind=Kind.ANSWER),
}
WRITING = [name for name, command in COMMANDS.items() if command.outputs]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the inputs are, by name."""
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
    vmlinux_of(build(Spec()), folder / "vmlinux")
    linux = build(Spec(ram=(Ram(0x1000, 0x9F000), Ram(2 * MIB, 6 * MIB))))
    XenHost(XenSpec(dom0=linux, dom0_blocks=(20, 9, 15), dom0_note=True)).elf(folder / "host")
    (folder / "stream").write_bytes(flatten(folder / "dump"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def whole(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What each command makes when nothing fails, the last of several files."""
    made = {}
    for name in COMMANDS:
        outcome = run(name, files, tmp_path_factory.mktemp("whole"))
        assert outcome.status == 0, outcome.err
        made[name] = outcome.outputs[-1].read_bytes()
    return made


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    status: int
    err: str
    folder: Path
    outputs: tuple[Path, ...]
    kind: Kind

    @property
    def passes_for_complete(self) -> bool:
        """Whether there is something that a reader takes for whole: a log may be cut anywhere."""
        if not all(path.is_file() and path.stat().st_size for path in self.outputs):
            return False
        if self.kind is Kind.DUMP:
            try:
                return check_dump(self.outputs).state is State.SOUND
            except MdfError:
                return False
        word = {Kind.TEXT: b"OSRELEASE=", Kind.LOG: b"message 29", Kind.ANSWER: b": sound: "}[self.kind]
        return word in self.outputs[-1].read_bytes()


def run(
    name: str, files: dict[str, bytes], folder: Path, fault: str = "none", count: int = 0, *more: str, **where: Path
) -> Outcome:
    """Runs a command in `folder` with a fault; `where` has other places for outputs, and for all that is `said`."""
    command = COMMANDS[name]
    contents = {folder / path: files[content] for path, content in zip(command.inputs, command.reads, strict=False)}
    for path, data in contents.items():
        path.write_bytes(data)
    (folder / "stream").write_bytes(files["stream"])
    outputs = tuple(where.get(output, folder / output) for output in command.outputs)
    sent = where.get("said", folder / "sent")
    with (folder / "stream").open("rb") as stdin, sent.open("wb") as stdout:
        result = subprocess.run(
            injected(command, fault, count, *more, *command.words(folder, outputs)),
            stdin=stdin,
            stdout=stdout,
            stderr=stdout if "said" in where else subprocess.PIPE,
            env=environment(),
            timeout=60,
            check=False,
        )
    if fault not in ("shrink", "change"):
        for path, data in contents.items():
            assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()
    return Outcome(result.returncode, (result.stderr or b"").decode(), folder, outputs or (sent,), command.kind)


def injected(command: Command, fault: str, count: int, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "faults.inject", fault, str(count), command.module, *arguments]


def assert_clean(outcome: Outcome, name: str, *, silent: bool = False, partial: bool = False) -> None:
    """Whatever happened: it shows, in the exit status, in a message, and in what is left."""
    command = COMMANDS[name]
    assert "Traceback" not in outcome.err
    if outcome.status == 0:
        assert outcome.passes_for_complete
    else:
        assert silent or outcome.err.strip() or command.kind is Kind.ANSWER
        # All of a log may be there before something fails.
        assert command.kind is Kind.LOG or not outcome.passes_for_complete
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
    # What Python writes to standard output itself is tested with a device that is full, below.
    if count == 0 and (fault == "read-eio" or COMMANDS[name].kind is not Kind.ANSWER):
        assert outcome.status == 1


@pytest.mark.parametrize("name", WRITING)
def test_a_device_that_is_full_at_any_place(
    name: str, files: dict[str, bytes], whole: dict[str, bytes], tmp_path: Path
) -> None:
    size = len(whole[name])
    for part, limit in enumerate((1, size // 5, size // 2, size * 4 // 5, size - 1)):
        folder = tmp_path / str(part)
        folder.mkdir()
        outcome = run(name, files, folder, "file-size", limit)
        assert outcome.status == 1, (limit, outcome.err)
        assert_clean(outcome, name)


@pytest.mark.parametrize("name", WRITING)
def test_messages_that_find_no_room_cost_neither_the_output_nor_the_exit_status(
    name: str, files: dict[str, bytes], whole: dict[str, bytes], tmp_path: Path
) -> None:
    outcome = run(name, files, tmp_path, said=Path("/dev/full"))
    assert outcome.status == 0
    assert outcome.outputs[-1].read_bytes() == whole[name]


@pytest.mark.parametrize("name", ["capture -F", "check"])
def test_a_standard_output_that_is_full(name: str, files: dict[str, bytes], tmp_path: Path) -> None:
    command = COMMANDS[name]
    (tmp_path / "input").write_bytes(files[command.reads[0]])
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            injected(command, "none", 0, *command.words(tmp_path, ())),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=60,
            check=False,
        )
    assert result.returncode == 1
    assert b"No space left on device" in result.stderr
    assert b"Traceback" not in result.stderr
    assert b"Exception" not in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_reads_and_writes_that_do_half_of_what_they_are_asked_for(
    name: str, files: dict[str, bytes], whole: dict[str, bytes], tmp_path: Path
) -> None:
    outcome = run(name, files, tmp_path, "halved")
    assert outcome.status == 0, outcome.err
    assert_clean(outcome, name)
    assert name == "check" or outcome.outputs[-1].read_bytes() == whole[name]


@pytest.mark.parametrize("count", [2, 9])
@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.inputs])
def test_an_input_that_shrinks(name: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, "shrink", count)
    assert_clean(outcome, name)
    assert outcome.status in (0, 1)


@pytest.mark.parametrize("count", [0, 4, 15])
@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.inputs])
def test_an_input_that_changes(name: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    """What is read may be nonsense then, but what is made of it has a form; pages are never made up."""
    outcome = run(name, files, tmp_path, "change", count)
    assert outcome.status in (0, 1), outcome.err
    assert "Traceback" not in outcome.err
    if outcome.status:
        assert_clean(outcome, name)
    elif COMMANDS[name].kind is Kind.DUMP:
        with open_dump(*outcome.outputs) as dump:
            assert not dump.incomplete


@pytest.mark.parametrize("count", [0, 2, 7])
@pytest.mark.parametrize("fault", ["sigterm", "sigkill"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal(name: str, fault: str, count: int, files: dict[str, bytes], tmp_path: Path) -> None:
    outcome = run(name, files, tmp_path, fault, count)
    assert_clean(outcome, name, silent=True, partial=fault == "sigkill")
    if count == 0 and COMMANDS[name].kind is not Kind.ANSWER:
        assert outcome.status != 0


@pytest.mark.parametrize("fault", ["sigterm-anywhere", "sigkill-anywhere"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_read_or_write(name: str, fault: str, files: dict[str, bytes], tmp_path: Path) -> None:
    chance = random.Random(f"{name} {fault}")
    for part in range(4):
        folder = tmp_path / str(part)
        folder.mkdir()
        outcome = run(name, files, folder, fault, chance.choice((1, 10, 100)) * chance.randrange(1, 10))
        assert_clean(outcome, name, silent=True, partial=fault == "sigkill-anywhere")


@pytest.mark.parametrize("taken", [0, 1, 10_000, 100_000])
def test_a_reader_of_the_stream_that_goes_away(taken: int, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(files["vmcore"])
    command = COMMANDS["capture -F"]
    process = subprocess.Popen(
        injected(command, "none", 0, *command.words(tmp_path, ())),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(taken)
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


@pytest.mark.parametrize("name", WRITING)
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
@pytest.mark.parametrize("name", WRITING)
def test_an_output_that_is_no_file(
    name: str, kind: str, force: Sequence[str], files: dict[str, bytes], tmp_path: Path
) -> None:
    make(kind, tmp_path)
    outcome = run(name, files, tmp_path, "none", 0, *force)
    assert outcome.status == 1, outcome.err
    assert_clean(outcome, name)


# -g replaces what is there, as the original does.
@pytest.mark.parametrize("kind", ["symlink", "dangling"])
@pytest.mark.parametrize("name", [name for name in WRITING if name != "vmcoreinfo"])
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
