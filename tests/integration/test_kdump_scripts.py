# SPDX-License-Identifier: GPL-2.0-or-later
"""The command lines of the distributions' kdump scripts, and what the scripts read from the answers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loopback
from captures import DumpFile
from factory import MIB, Anon, Cache, Free, Ram, Spec, build, place
from factory.printk import LocklessRing, Message
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError
from mdf.core.options import OPTIONS

LEVELS = (6, 7, 14, 15)


@pytest.fixture(scope="module")
def vmcore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vmcore with pages of every class and a kernel log."""
    pages = (place(0xA00, Free(order=3)), place(0xA08, Anon()), place(0xA09, Cache(private=True)))
    spec = Spec(release="6.1.0", ram=(Ram(0x1000, 0x9F000), Ram(1 * MIB, 24 * MIB)), pages=pages)
    ring = LocklessRing(spec, count_bits=4, size_bits=10, clear_seq=1)
    ring.append(Message(b"Linux version 6.1.0"))
    return ring.put_into(build(spec)).elf(tmp_path_factory.mktemp("proc") / "vmcore")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the commands makedumpfile and mdf-rearrange, as the scripts find them in PATH."""
    folder = tmp_path_factory.mktemp("bin")
    for name, module in (("makedumpfile", "makedumpfile.__main__"), ("mdf-rearrange", "mdf.rearrange")):
        code = f"import sys; sys.path[:0] = {sys.path!r}; from {module} import main; sys.exit(main())"
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


class Shell:
    """Runs lines of scripts in the folder `cwd`, with `vmcore` as $VMCORE."""

    def __init__(self, programs: Path, vmcore: Path, cwd: Path) -> None:
        self.environment = os.environ | {"PATH": f"{programs}:{loopback.PATH}", "VMCORE": str(vmcore)}
        self.cwd = cwd

    def run(self, line: str, timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
        """A line's result."""
        command = ["bash", "-c", line]
        return subprocess.run(
            command, cwd=self.cwd, env=self.environment, capture_output=True, check=False, timeout=timeout
        )

    def plain(self) -> Path:
        """The dump that is made without any script."""
        result = self.run("makedumpfile -c -d 31 -f $VMCORE plain")
        assert result.returncode == 0, result.stderr
        return self.cwd / "plain"


@pytest.fixture
def shell(programs: Path, vmcore: Path, tmp_path: Path) -> Shell:
    return Shell(programs, vmcore, tmp_path)


def passes_for_whole(path: Path) -> bool:
    """Whether a file is read without a word that something is missing."""
    try:
        with open_dump(path) as dump:
            return not dump.incomplete
    except MdfError:
        return False


# Fedora and RHEL: kdump-utils


@pytest.mark.parametrize(
    "arguments",
    [
        "-l --message-level 7 -d 31 vmcore",
        "-F -l --message-level 7 -d 31 vmcore",
        "-c -d 31 --num-threads=2 vmcore dump",
    ],
)
def test_fedora_checks_the_core_collector_when_the_initrd_is_made(shell: Shell, arguments: str) -> None:
    given = arguments if arguments.endswith("dump") or "-F" in arguments else f"{arguments} dump"
    result = shell.run(f"makedumpfile --check-params {given}")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    wrong = shell.run(f"makedumpfile --check-params {given} -E -c")
    assert wrong.returncode == 1


def test_fedora_saves_to_a_file_with_a_thread_for_each_cpu(shell: Shell) -> None:
    line = "makedumpfile -l --message-level 7 -d 31 --num-threads=$(nproc) $VMCORE vmcore-incomplete >console 2>&1"
    if b"lzo\tenabled" not in shell.run("makedumpfile -v").stdout:
        pytest.skip("LZO is not installed: pip install 'mdf-capture[lzo]'")
    assert shell.run(f"{line} && sync -f vmcore-incomplete && mv vmcore-incomplete vmcore").returncode == 0
    text = (shell.cwd / "console").read_text()
    assert "\nThe dumpfile is saved to vmcore-incomplete.\n" in text
    assert text.endswith("\nmakedumpfile Completed.\n")
    assert DumpFile(shell.cwd / "vmcore").bitmap2 == DumpFile(shell.plain()).bitmap2


def test_fedora_names_the_exit_code_when_saving_fails(shell: Shell) -> None:
    result = shell.run("makedumpfile -c --message-level 7 -d 31 /nothing vmcore-incomplete >console 2>&1")
    assert result.returncode == 1
    assert not (shell.cwd / "vmcore-incomplete").exists()


def test_fedora_takes_the_stream_from_a_raw_device_that_had_other_data(shell: Shell) -> None:
    (shell.cwd / "raw").write_bytes(os.urandom(1 << 20) * 64)
    line = "makedumpfile -F -c --message-level 7 -d 31 $VMCORE | dd of=raw bs=4K conv=notrunc 2>/dev/null"
    assert shell.run(line).returncode == 0
    assert shell.run("makedumpfile -R vmcore <raw >/dev/null 2>&1").returncode == 0
    assert (shell.cwd / "vmcore").read_bytes() == shell.plain().read_bytes()


@pytest.mark.parametrize(
    "garbage", [b"", bytes(1 << 20), os.urandom(1 << 16), b"makedumpfile", b"makedumpfile\0\0\0\0" * 512]
)
def test_fedora_tries_to_rearrange_what_is_no_dump(shell: Shell, garbage: bytes) -> None:
    (shell.cwd / "raw").write_bytes(garbage)
    assert shell.run("makedumpfile -R vmcore <raw >/dev/null 2>&1", timeout=20).returncode == 1
    assert [file.name for file in shell.cwd.iterdir()] == ["raw"]


def test_no_option_has_a_name_that_fedoras_scripts_would_cut() -> None:
    flags = [flag for option in OPTIONS for flag in option.flags]
    assert [flag for flag in flags if "-F" in flag] == ["-F"]
    assert [flag for flag in flags if "-E" in flag] == ["-E"]


# SUSE: kdump-save


def test_suse_reads_time_and_release_from_standard_error(shell: Shell) -> None:
    result = shell.run("makedumpfile -F --message-level 8 --dump-dmesg $VMCORE >log 2>err")
    assert result.returncode == 0
    lines = (shell.cwd / "err").read_text().splitlines()
    values = dict(line.strip().split("=", 1) for line in lines if "=" in line)
    assert values["OSRELEASE"].startswith("6.1.0")
    assert "CRASHTIME" in values
    assert shell.run("makedumpfile --dump-dmesg $VMCORE file").returncode == 0
    assert (shell.cwd / "log").read_bytes() == (shell.cwd / "file").read_bytes()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", ["-c --num-threads 2", "-c", "-E"])
def test_suse_saves_through_a_fifo_at_every_message_level(shell: Shell, form: str, level: int) -> None:
    line = (
        f"mkfifo fifo; cat fifo >stream & makedumpfile -F {form} --message-level {level} -d 31 $VMCORE >fifo 2>err;"
        " status=$?; wait; exit $status"
    )
    assert shell.run(line).returncode == 0
    assert shell.run("mdf-rearrange vmcore <stream").returncode == 0
    with open_dump(shell.cwd / "vmcore") as dump:
        assert not dump.incomplete
    error = (shell.cwd / "err").read_text()
    assert ("  OSRELEASE=6.1.0" in error) == bool(level & 8)
    assert ("Copying data" in error) == bool(level & 1)


# Debian and Ubuntu: kdump-tools


def test_debian_saves_log_and_stream(shell: Shell) -> None:
    line = "makedumpfile --dump-dmesg $VMCORE dmesg.1 && makedumpfile -c -d 31 -F $VMCORE | cat >dump-incomplete"
    assert shell.run(f"{line} && mv dump-incomplete dump.1").returncode == 0
    with open_dump(shell.cwd / "dump.1") as dump:
        assert not dump.incomplete
    assert shell.run("mdf-rearrange whole <dump.1").returncode == 0
    assert (shell.cwd / "whole").read_bytes() == shell.plain().read_bytes()


def test_a_stream_that_debian_did_not_see_break_is_no_whole_dump(shell: Shell) -> None:
    shell.run("makedumpfile -c -d 31 -F $VMCORE | head -c 30000 >dump.1")
    assert shell.run("makedumpfile -R whole <dump.1").returncode == 1
    assert not (shell.cwd / "whole").exists()
    assert not passes_for_whole(shell.cwd / "dump.1")


# A server on the net


@pytest.mark.parametrize("receiver", ["mdf-rearrange", "dd"])
def test_a_stream_through_ssh_becomes_the_same_dump(shell: Shell, receiver: str, programs: Path) -> None:
    if not loopback.available():
        pytest.skip("no ssh server: apt-get install openssh-server openssh-client")
    keys = shell.cwd / "keys"
    keys.mkdir()
    there = shlex.quote(str(shell.cwd / "received"))
    remote = {"mdf-rearrange": f"{programs}/mdf-rearrange {there}", "dd": f"umask 0077 && dd bs=512 of={there}"}[
        receiver
    ]
    with loopback.server(keys) as server:
        ssh = shlex.join(["ssh", *server.options(), f"{server.user}@127.0.0.1", remote])
        result = shell.run(f"set -o pipefail; makedumpfile -F -c -d 31 $VMCORE | {ssh}")
    assert result.returncode == 0, result.stderr
    if receiver == "dd":
        assert shell.run("mdf-rearrange whole <received").returncode == 0
        shutil.move(shell.cwd / "whole", shell.cwd / "received")
    assert (shell.cwd / "received").read_bytes() == shell.plain().read_bytes()
    assert (shell.cwd / "received").stat().st_mode & 0o777 == 0o600
