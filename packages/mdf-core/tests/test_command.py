# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from mdf.core import __version__
from mdf.core.command import Command, run_main
from mdf.core.commandline import INVALID, ParsedArguments
from mdf.core.errors import InputError, MismatchError, UsageError
from mdf.core.lenient import LiteralUsageError
from mdf.core.manual import DUMP_LEVELS, Manual
from mdf.core.messages import Messages
from mdf.core.options import OPTIONS, Mode

FAILED = "\nmakedumpfile Failed.\n"
MANUAL = Manual("mdf-test", "test", "Tests.", ("VMCORE DUMPFILE",), Mode.ALL, (DUMP_LEVELS,))


def raising(error: BaseException) -> Callable[[ParsedArguments, Messages], int | None]:
    def answer(parsed: ParsedArguments, messages: Messages) -> int | None:
        raise error

    return answer


def command(ran: list[ParsedArguments]) -> Command:
    def prepare(parsed: ParsedArguments) -> Callable[[Messages], None]:
        if parsed.operands == ("bad",):
            raise UsageError("bad operand", hint=INVALID)
        return lambda messages: ran.append(parsed)

    return Command("mdf-test", f"{__name__}:MANUAL", prepare)


def test_a_command_that_ran_says_completed(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[ParsedArguments] = []
    assert command(ran).main(["-d", "1", "vmcore"]) == 0
    assert [parsed.operands for parsed in ran] == [("vmcore",)]
    assert capsys.readouterr() == ("\nmakedumpfile Completed.\n", "")


def test_messages_go_to_stderr_when_the_dump_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert command([]).main(["-F"]) == 0
    assert capsys.readouterr() == ("", "\nmakedumpfile Completed.\n")
    assert command([]).main(["--foo", "-F"]) == 1
    assert capsys.readouterr() == ("", f"option --foo not recognized\n{INVALID}\n{FAILED}")


def test_checking_parameters_runs_nothing_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[ParsedArguments] = []
    assert command(ran).main(["--check-params", "good"]) == 0
    assert capsys.readouterr() == ("", "")
    assert command(ran).main(["--message-level", "0", "--check-params", "bad"]) == 1
    assert capsys.readouterr() == (INVALID + "\n", "bad operand\n")
    assert not ran


def test_a_usage_error_prints_the_text_scripts_know_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(raising(UsageError("why", hint=INVALID)), []) == 1
    assert capsys.readouterr() == (f"{INVALID}\n{FAILED}", "why\n")
    assert run_main(raising(LiteralUsageError("Dump_level(32) is invalid.")), []) == 1
    assert capsys.readouterr() == (f"Dump_level(32) is invalid.\n{FAILED}", "")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InputError("no such vmcore", hint="look elsewhere"), 1, "no such vmcore\nlook elsewhere\n"),
        (MismatchError("A and B don't match."), 2, "A and B don't match.\n"),
        (PermissionError(13, "Permission denied", "f"), 1, "[Errno 13] Permission denied: 'f'\n"),
        (MemoryError(), 1, "Out of memory.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_a_status(
    error: BaseException, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(raising(error), []) == status
    assert capsys.readouterr() == (FAILED, text)


def test_a_mistake_in_the_program_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_main(raising(ZeroDivisionError()), [])


def test_message_level_0_silences_everything(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["-h"], ["-v"], ["bad"], ["good"]):
        command([]).main(["--message-level", "0", *argv])
    assert capsys.readouterr() == ("", "")


def test_a_bad_message_level_is_refused_in_the_known_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert command([]).main(["--message-level", "32"]) == 1
    assert capsys.readouterr() == (f"Message_level(32) is invalid.\n{FAILED}", "")


def test_a_reader_that_went_away_gives_one_line_and_no_traceback() -> None:
    code = (
        "import os, sys; from mdf.core.command import run_main\n"
        "def answer(parsed, messages): print('x' * 100000); sys.stdout.flush()\n"
        "sys.exit(run_main(answer, []))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == "The reader of the output went away.\n"
    assert process.returncode == 1


def test_the_help_shows_every_option_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert command([]).main(["-h", "--show-stats"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: mdf-test VMCORE DUMPFILE\n")
    assert {flag for option in OPTIONS for flag in option.flags} <= set(out.replace(",", " ").split())
    assert DUMP_LEVELS.text in out
    assert "Completed" not in out + err


def test_the_help_leaves_out_options_of_other_modes() -> None:
    text = Manual("mdf-test", "test", "Tests.", ("FILE",), Mode.DMESG).help_text()
    assert "--partial-dmesg" in text
    assert "--split" not in text


def test_the_version_lists_codecs_in_the_known_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert command([]).main(["-v"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].startswith(f"mdf-test: version {__version__} (released on ")
    assert [line.split("\t")[0] for line in lines[1:4]] == ["lzo", "snappy", "zstd"]
    assert {line.split("\t")[1] for line in lines[1:4]} <= {"enabled", "disabled"}
    assert lines[4:] == ["", ""]
