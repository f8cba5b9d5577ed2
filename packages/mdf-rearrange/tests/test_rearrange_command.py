# SPDX-License-Identifier: GPL-2.0-or-later
"""The file as a command of its own: copied somewhere, without anything else of ours or of anybody's."""

from __future__ import annotations

import ast
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mdf import rearrange
from streams import END, HEADER

KDUMP = (
    (b"KDUMP   " + struct.pack("<i", 6)).ljust(142, b"\0")
    + b"6.1.0\x1b[2J".ljust(130, b"\0")
    + b"x86_64".ljust(65, b"\0")
)
SOUND = HEADER + struct.pack(">qq", 0, len(KDUMP)) + KDUMP + END
OLDEST = os.environ.get("MDF_PYTHON36", "python3.6")
PAGE = Path(__file__).parents[1] / "man/mdf-rearrange.8"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "alone"
    folder.mkdir()
    return Path(shutil.copy(rearrange.__file__, folder / "rearrange.py"))


def run(
    program: Path, *arguments: object, data: bytes = SOUND, python: Sequence[str] = (sys.executable, "-I", "-S")
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of the file, run with nothing but the standard library."""
    command = [*python, str(program), *map(str, arguments)]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def test_a_sound_stream_is_saved_with_the_known_messages(program: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    saved = f"\nThe dumpfile is saved to {dump}.\n\nmakedumpfile Completed.\n"
    assert run(program, dump) == (0, saved, "")
    assert dump.read_bytes() == KDUMP
    assert [path.name for path in program.parent.iterdir()] == ["rearrange.py"]


def test_a_bad_stream_fails_with_the_known_message(program: Path, tmp_path: Path) -> None:
    status, out, err = run(program, tmp_path / "dump", data=b"x" * 9999)
    assert (status, out) == (1, "\nmakedumpfile Failed.\n")
    assert err.count("\n") == 2
    assert not (tmp_path / "dump").exists()


def test_the_oldest_python_runs_it(program: Path, tmp_path: Path) -> None:
    if not shutil.which(OLDEST) or subprocess.run([OLDEST, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"no {OLDEST}: MDF_PYTHON36 may name one")
    assert run(program, "-f", tmp_path / "dump", python=(OLDEST, "-I", "-S"))[0] == 0
    assert (tmp_path / "dump").read_bytes() == KDUMP
    assert run(program, "--info", python=(OLDEST, "-I", "-S"))[2] == ""
    assert run(program, "--check", data=SOUND[:-1], python=(OLDEST, "-I", "-S"))[0] == 1


def test_the_syntax_is_that_of_python_3_6() -> None:
    ast.parse(Path(rearrange.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_check_and_info_write_nothing_and_tell_what_the_stream_holds(program: Path) -> None:
    position, size = len(SOUND), len(KDUMP)
    counts = f"Records: 1. Bytes of the stream: {position}, of the dump file: {size}.\n"
    kind = "The stream holds a kdump-compressed dump, version 6, of 6.1.0?[2J x86_64.\n"
    assert run(program, "--check") == (0, "The stream is complete.\n\nmakedumpfile Completed.\n", "")
    assert run(program, "--info") == (0, f"{kind}{counts}The stream is complete.\n\nmakedumpfile Completed.\n", "")
    status, out, err = run(program, "--info", data=SOUND[:-3])
    assert (status, out) == (1, kind + counts.replace(str(position), str(position - 16)) + "\nmakedumpfile Failed.\n")
    assert err.startswith(f"The stream ended after {position - 3} bytes without its end marker")
    assert [path.name for path in program.parent.iterdir()] == ["rearrange.py"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x7fELF\2\1", "an ELF file, 64-bit, little endian"),
        (b"\x7fELF\1\2", "an ELF file, 32-bit, big endian"),
        (b"KDUMP   " + struct.pack(">i", 5), "a kdump-compressed dump, version 5, of  "),
        (b"PK", "unknown data"),
    ],
)
def test_info_knows_the_kinds_of_dump(head: bytes, kind: str, program: Path) -> None:
    data = HEADER + struct.pack(">qq", 0, len(head)) + head + END
    assert run(program, "--info", data=data)[1].startswith(f"The stream holds {kind}.\n")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("-R -f --message-level 7 -D --show-stats --work-dir /tmp DUMP", 0),
        ("-Rf DUMP", 0),
        ("DUMP -R -f", 0),
        ("--check-params -R DUMP", 0),
        ("--check-params", 1),
        ("", 1),
        ("DUMP another", 1),
        ("-R -q DUMP", 1),
        ("--check DUMP", 1),
        ("--check --info", 1),
        ("--info --keep-partial", 1),
        ("--message-level much DUMP", 1),
        ("--help", 0),
        ("-v", 0),
    ],
)
def test_the_arguments_are_those_of_makedumpfile(arguments: str, status: int, program: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    result = run(program, *(dump if word == "DUMP" else word for word in arguments.split()))
    assert (result[0], bool(result[2])) == (status, bool(status))
    assert dump.exists() == (status == 0 and "DUMP" in arguments and "--check-params" not in arguments)


def test_the_message_level_silences_each_class(program: Path, tmp_path: Path) -> None:
    assert run(program, "--message-level", 4, tmp_path / "a") == (0, "", "")
    assert run(program, "--message-level=2", tmp_path / "b", data=b"")[1:] == ("\nmakedumpfile Failed.\n", "")
    assert run(program, "--message-level", 4, tmp_path / "c", data=b"")[1] == ""


def test_a_closed_console_does_not_cost_the_dump(program: Path, tmp_path: Path) -> None:
    command = f"exec '{sys.executable}' -I -S '{program}' '{tmp_path}/dump' >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], input=SOUND, check=False).returncode == 0
    assert (tmp_path / "dump").read_bytes() == KDUMP


def test_a_closed_standard_input_is_said(program: Path, tmp_path: Path) -> None:
    command = f"exec '{sys.executable}' -I -S '{program}' '{tmp_path}/dump' <&-"
    result = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert result.stderr == b"Can't read standard input: Bad file descriptor.\n"
    assert not (tmp_path / "dump").exists()


def test_a_file_size_limit_is_one_line(program: Path, tmp_path: Path) -> None:
    data = HEADER + struct.pack(">qq", 1 << 20, 4) + b"data" + END
    limit = f"import resource, runpy; resource.setrlimit({resource.RLIMIT_FSIZE}, (65536, 65536)); "
    code = limit + f"runpy.run_path({str(program)!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, str(tmp_path / "dump")]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    assert result.returncode == 1
    assert result.stderr.decode() == f"Can't write {tmp_path}/dump: File too large.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["alone"]


def default_signals() -> None:
    """What a job in the background ignores is not ignored here."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_file(number: signal.Signals, program: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(program), str(tmp_path / "dump")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=default_signals) as process:
        assert process.stdin
        process.stdin.write(SOUND[:-16] + struct.pack(">qq", 0, 1 << 20) + bytes(1 << 19))
        process.stdin.flush()
        while not list(tmp_path.glob(".mdf-rearrange-*")):
            assert process.poll() is None
        process.send_signal(number)
        assert process.wait() == 130
        assert process.stderr
        assert process.stderr.read() == b"Interrupted.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["alone"]


@pytest.mark.parametrize("promised", [32 << 20, (1 << 31) - 1])
def test_the_memory_does_not_grow_with_the_stream_nor_with_what_it_promises(
    promised: int, program: Path, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(program.parent)!r}); import rearrange\n"
        f"rearrange.main([{str(tmp_path / 'dump')!r}])\n"
        "[peak] = [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')]; print(peak)"
    )
    record = struct.pack(">qq", 0, promised) + b"x" * (32 << 20)
    command = [sys.executable, "-I", "-S", "-c", code]
    result = subprocess.run(command, input=HEADER + 2 * record + END, capture_output=True, check=True)
    assert int(result.stdout.split()[-1]) < 24 << 10
    assert (tmp_path / "dump").exists() == (promised == 32 << 20)


def test_the_manual_page_has_the_options_of_the_parser() -> None:
    entries = re.findall(r"^\.TP\n(.*)$", PAGE.read_text(encoding="utf-8").replace("\\-", "-"), re.MULTILINE)
    shown = {flag for entry in entries for flag in re.findall(r"(?<![\w-])--?[a-z-]+", entry.replace("\\fB", ""))}
    flags = {
        flag
        for action in rearrange.parser()._actions
        if action.help != "==SUPPRESS=="
        for flag in action.option_strings
    }
    assert shown == flags
