# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that compress: what becomes of the dump when one fails, and of them when the run ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from captures import command, elf_of
from children import environment
from factory import MIB, Ram, Spec, build, random_layout
from mdf.capture import Options, capture
from mdf.core.dumps import codecs, open_dump
from mdf.core.dumps.codecs.packing import Room
from mdf.core.messages import Messages

MISSING = "A process that compresses is missing; this one does its part."


@pytest.fixture(scope="module")
def vmcore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    core = build(random_layout(Spec(ram=(Ram(0, 32 * MIB),)), seed=1))
    return elf_of(core, tmp_path_factory.mktemp("processes"))


def single(vmcore: Path, folder: Path) -> bytes:
    """The dump that one process makes."""
    capture(Options(vmcore, folder / "single", compression="zlib", num_threads=0))
    return (folder / "single").read_bytes()


def packing(monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None]) -> None:
    """Every process calls `before`, with the number of its batch, before it packs one."""
    real = codecs.Codec.packer

    def packer(codec: codecs.Codec) -> codecs.Packer:
        pack, numbers = real(codec), iter(range(1 << 30))

        def packed(pages: bytearray, size: int, wanted: Sequence[int], room: Room) -> list[int]:
            before(next(numbers))
            return pack(pages, size, wanted, room)

        return packed

    monkeypatch.setattr(codecs.Codec, "packer", packer)


def test_an_error_in_every_process_ends_the_run_and_the_dump_says_incomplete(
    vmcore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int) -> None:
        if number == 1:
            raise MemoryError

    packing(monkeypatch, fail)
    with pytest.raises(MemoryError):
        capture(Options(vmcore, tmp_path / "dump", compression="zlib", num_threads=3))
    with open_dump(tmp_path / "dump") as dump:
        assert dump.incomplete
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, 0)


@pytest.mark.parametrize("lasts", [0, 1, 2, 5])
def test_processes_that_are_killed_leave_nothing_out(
    lasts: int, vmcore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, here = single(vmcore, tmp_path), os.getpid()

    def die(number: int) -> None:
        if os.getpid() != here and number == lasts:
            os.kill(os.getpid(), signal.SIGKILL)

    packing(monkeypatch, die)
    capture(Options(vmcore, tmp_path / "dump", compression="zlib", num_threads=2), Messages())
    assert (tmp_path / "dump").read_bytes() == expected
    assert capsys.readouterr().out.count(MISSING) == 1


def test_processes_that_cannot_be_had_leave_nothing_out(
    vmcore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, fork, left = single(vmcore, tmp_path), os.fork, iter(range(1))

    def last_fork() -> int:
        if next(left, None) is None:
            raise BlockingIOError
        return fork()

    monkeypatch.setattr(os, "fork", last_fork)
    capture(Options(vmcore, tmp_path / "dump", compression="zlib", num_threads=3), Messages())
    assert (tmp_path / "dump").read_bytes() == expected
    assert capsys.readouterr().out.count(MISSING) == 1


def test_without_compression_there_are_no_processes(
    vmcore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(Options(vmcore, tmp_path / "single", num_threads=0))
    monkeypatch.delattr(os, "fork")
    capture(Options(vmcore, tmp_path / "dump", num_threads=2))
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "single").read_bytes()


def test_processes_end_with_the_one_that_was_killed(vmcore: Path) -> None:
    with subprocess.Popen(
        command("-F", "-c", "-d0", "--num-threads", 3, vmcore), env=environment(), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1 << 16)  # Nobody reads on: the run stands still.
        children = _until(lambda: _children(process.pid), lambda found: len(found) == 3)
        process.kill()
        assert not _until(lambda: [child for child in children if _lives(child)], lambda found: not found)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(look: Callable[[], list[int]], enough: Callable[[list[int]], bool]) -> list[int]:
    """What is seen when it is enough, or after 20 seconds."""
    end = time.monotonic() + 20
    while not enough(found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found
