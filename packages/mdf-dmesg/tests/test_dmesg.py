# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from factory import MIB, KdumpStyle, Model, Ram, Spec, Vmcore, build
from factory.printk import LocklessRing, Message
from mdf.dmesg.cli import main

Output = pytest.CaptureFixture[str]

SPEC = Spec(release="6.1.0", ram=(Ram(1 * MIB, 5 * MIB),), model=Model.FLATMEM)
TEXT = "[    0.000000] [      T1] Linux version\n[    1.000002] [      C0] two\n" + " " * 26 + "lines\n"
SAVED = "\nThe dmesg log is saved to {}.\n\nmakedumpfile Completed.\n"
FAILED = "\nmakedumpfile Failed.\n"


def ring_of(spec: Spec = SPEC) -> LocklessRing:
    ring = LocklessRing(spec, count_bits=4, size_bits=10, clear_seq=1)
    ring.append(Message(b"Linux version", 0, 1))
    ring.append(Message(b"two\nlines", 1_000_002_000, 1 << 31))
    return ring


def core_of(ring: LocklessRing) -> Vmcore:
    return ring.put_into(build(ring.spec))


@pytest.fixture
def vmcore(tmp_path: Path) -> Path:
    return core_of(ring_of()).elf(tmp_path / "vmcore")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    ring = ring_of()
    ring.append(Message(b"torn", 2, 1))
    ring.text[ring.live[2][1]] ^= 1
    return core_of(ring).elf(tmp_path / "damaged")


def run(*argv: Path | str) -> int:
    return main([str(argument) for argument in argv])


def test_the_log_goes_to_a_new_file_of_the_owner_alone(vmcore: Path, tmp_path: Path, capfd: Output) -> None:
    log = tmp_path / "log"
    assert run("--dump-dmesg", vmcore, log) == 0
    assert log.read_text() == TEXT
    assert stat.S_IMODE(log.stat().st_mode) & 0o077 == 0
    assert capfd.readouterr() == (SAVED.format(log), "")


def test_the_option_that_the_name_stands_for_can_be_left_out(vmcore: Path, tmp_path: Path, capfd: Output) -> None:
    assert run(vmcore, tmp_path / "log") == 0
    assert (tmp_path / "log").read_text() == TEXT


def test_a_log_that_exists_stays_unless_overwriting_is_asked_for(vmcore: Path, tmp_path: Path, capfd: Output) -> None:
    log = tmp_path / "log"
    log.write_text("x" * 10_000)
    assert run("--dump-dmesg", vmcore, log) == 1
    assert capfd.readouterr() == (FAILED, f"Can't open the dump file ({log}). File exists\nUse -f to overwrite it.\n")
    assert log.read_text() == "x" * 10_000
    assert run("--dump-dmesg", "-f", vmcore, log) == 0
    assert log.read_text() == TEXT


def test_the_vmcore_itself_is_never_overwritten(vmcore: Path, capfd: Output) -> None:
    before = vmcore.read_bytes()
    assert run("-f", vmcore, vmcore) == 1
    assert capfd.readouterr().err == f"Can't open the dump file ({vmcore}). It is the VMCORE itself.\n"
    assert vmcore.read_bytes() == before


def test_flattened_means_plain_text_on_standard_output_and_messages_on_standard_error(
    vmcore: Path, capfd: Output
) -> None:
    assert run("--dump-dmesg", "-F", vmcore) == 0
    assert capfd.readouterr() == (TEXT, SAVED.format("STDOUT"))


def test_at_the_debug_level_the_vmcoreinfo_is_on_standard_error_and_nothing_else(vmcore: Path, capfd: Output) -> None:
    assert run("-F", "--message-level", "8", "--dump-dmesg", vmcore) == 0
    out, err = capfd.readouterr()
    assert out == TEXT
    lines = err.splitlines()
    assert {"  OSRELEASE=6.1.0", "  CRASHTIME=1700000000"} <= set(lines)
    assert all(line.startswith("  ") and "=" in line for line in lines)


def test_one_operand_prints_the_log_and_nothing_else(vmcore: Path, capfd: Output) -> None:
    assert run(vmcore) == 0
    assert capfd.readouterr() == (TEXT, "")
    assert run("--check-params", vmcore) == 0
    assert capfd.readouterr() == ("", "")
    assert run(vmcore.parent / "nothing") == 1
    assert capfd.readouterr() == (
        "",
        f"Can't open the dump memory({vmcore.parent / 'nothing'}). No such file or directory\n",
    )


def test_json_gives_one_record_a_line(vmcore: Path, tmp_path: Path, capfd: Output) -> None:
    assert run("--json", vmcore) == 0
    records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert records == [
        {"ts_nsec": 0, "caller": "T1", "text": "Linux version"},
        {"ts_nsec": 1_000_002_000, "caller": "C0", "text": "two\nlines"},
    ]
    assert run(vmcore, tmp_path / "log", "--json") == 0
    assert [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()] == records


def test_partial_gives_what_came_after_the_log_was_cleared(vmcore: Path, capfd: Output) -> None:
    assert run("--partial-dmesg", vmcore) == 0
    assert capfd.readouterr().out == TEXT[TEXT.index("[    1.") :]


def test_partial_without_the_time_of_clearing_is_everything_and_says_so(tmp_path: Path, capfd: Output) -> None:
    core = core_of(ring_of(replace(SPEC, without=("SYMBOL(clear_seq)",))))
    assert run("--partial-dmesg", "-F", core.elf(tmp_path / "vmcore")) == 0
    out, err = capfd.readouterr()
    assert out == TEXT
    assert err.startswith("The kernel does not say when its log was last cleared: all of it is taken.\n")


@pytest.mark.parametrize("style", [KdumpStyle(), KdumpStyle(zlib=True)])
def test_a_dump_made_before_gives_the_same_log(style: KdumpStyle, tmp_path: Path, capfd: Output) -> None:
    assert run(core_of(ring_of()).kdump(tmp_path / "dump", style)) == 0
    assert capfd.readouterr().out == TEXT


def test_of_a_damaged_log_what_is_sound_is_written_and_the_rest_is_said(
    damaged: Path, tmp_path: Path, capfd: Output
) -> None:
    log = tmp_path / "log"
    assert run("--dump-dmesg", damaged, log) == 1
    assert log.read_text() == TEXT
    out, err = capfd.readouterr()
    assert out == FAILED
    lost, summary, hint = err.splitlines()
    assert lost.startswith("The record with id ")
    assert (summary, hint) == ("The kernel's log is damaged: 1 findings.", f"{log} has what is sound.")
    assert run(damaged) == 1
    assert capfd.readouterr() == (TEXT, err.replace(str(log), "STDOUT"))


def test_a_vmcore_without_a_log_leaves_no_file(tmp_path: Path, capfd: Output) -> None:
    vmcore = build(SPEC).elf(tmp_path / "vmcore")
    assert run("--dump-dmesg", vmcore, tmp_path / "log") == 1
    assert capfd.readouterr().err.startswith("Can't find some symbols for log_buf: ")
    assert not (tmp_path / "log").exists()


def test_a_vmcore_without_vmcoreinfo_says_so(tmp_path: Path, capfd: Output) -> None:
    vmcore = build(replace(SPEC, vmcoreinfo=False)).elf(tmp_path / "vmcore")
    assert run(vmcore) == 1
    assert capfd.readouterr().err.splitlines()[0] == f"{vmcore} doesn't contain vmcoreinfo."


def test_a_text_says_where_the_log_of_a_vmcore_without_vmcoreinfo_is(tmp_path: Path, capfd: Output) -> None:
    core = core_of(ring_of())
    (tmp_path / "text").write_text(core.vmcoreinfo)
    silent = replace(core, spec=replace(core.spec, vmcoreinfo=False)).elf(tmp_path / "vmcore")
    assert run("-i", tmp_path / "text", silent) == 0
    assert capfd.readouterr().out == TEXT
    (tmp_path / "text").write_text(core.vmcoreinfo.replace("OSRELEASE=6.1.0", "OSRELEASE=6.1.1"))
    assert run("-i", tmp_path / "text", "--dump-dmesg", silent, tmp_path / "log") == 2
    assert "is of 6.1.1; the crashed kernel is 6.1.0." in capfd.readouterr().err
    assert not (tmp_path / "log").exists()


def test_a_full_device_is_said_with_what_became_of_the_log(vmcore: Path, capfd: Output) -> None:
    assert run("-f", "--dump-dmesg", vmcore, "/dev/full") == 1
    assert capfd.readouterr().err == (
        "/dev/full is not complete.\nCan't write the dump file(/dev/full). No space left on device\n"
    )


@pytest.mark.parametrize("limit", [1, 60, len(TEXT) - 1])
def test_the_size_limit_keeps_what_fits(limit: int, vmcore: Path, tmp_path: Path, capfd: Output) -> None:
    log = tmp_path / "log"
    assert run("-L", str(limit), vmcore, log) == 1
    assert log.read_text() == TEXT[:limit]
    assert capfd.readouterr().err == (
        f"{log} is not complete.\nCan't write the dump file({log}). The size limit is reached.\n"
    )
    assert run("-f", "-L", str(len(TEXT)), vmcore, log) == 0


def test_a_reader_that_goes_away_costs_one_line(tmp_path: Path) -> None:
    ring = LocklessRing(SPEC, count_bits=12, size_bits=18)
    for number in range(2000):
        ring.append(Message(b"x" * 100, number))
    vmcore = core_of(ring).elf(tmp_path / "vmcore")
    code = f"import sys; from mdf.dmesg.cli import main; sys.exit(main([{str(vmcore)!r}]))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == b"STDOUT is not complete.\nThe reader of the output went away.\n"


@pytest.mark.parametrize(
    "argv", ["", "a b c", "-F a b", "-F --json", "-q vmcore", "-d 32 vmcore log", "-L 0 vmcore log"]
)
def test_a_wrong_command_line_is_refused(argv: str, capfd: Output) -> None:
    assert main(argv.split()) == 1
    assert "invalid." in "".join(capfd.readouterr())


def test_another_commands_mode_is_named(capfd: Output) -> None:
    assert main(["-R", "log"]) == 1
    assert capfd.readouterr().err == "mdf-dmesg does not do -R.\nmdf-rearrange does.\n"


def test_help_and_version_need_no_operands(capfd: Output) -> None:
    assert main(["-h"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("usage: mdf-dmesg ")
    assert "--json" in out
    assert main(["-v"]) == 0
    assert capfd.readouterr().out.startswith("mdf-dmesg: version ")


def command(argv: Sequence[str]) -> str:
    code = (
        f"import sys; from mdf.dmesg.cli import main; main({list(argv)!r})\n"
        "print([m for m in ('argparse', 'elftools', 'json', 'mdf.capture') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout


def test_a_log_needs_no_argparse_no_json_and_no_other_package(vmcore: Path, tmp_path: Path) -> None:
    assert command([str(vmcore), str(tmp_path / "log")]).endswith("\n[]\n")
