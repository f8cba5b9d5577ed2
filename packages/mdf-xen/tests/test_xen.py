# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import pytest

COMMANDS = [
    (
        "mdf.xen.cli",
        ["-X", "vmcore", "dump"],
        "mdf-xen cannot filter the memory of a Xen host yet.",
        ["-X", "vmcore"],
        ["-R", "dump"],
    ),
]


def run(module: str, argv: Sequence[str]) -> int:
    status: int = import_module(module).main(argv)
    return status


@pytest.mark.parametrize(("module", "good", "line", "wrong", "other"), COMMANDS)
def test_what_is_not_there_yet_is_said_in_one_line(
    module: str, good: list[str], line: str, wrong: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(module, good) == 1
    assert capsys.readouterr() == ("\nmakedumpfile Failed.\n", line + "\n")
    assert run(module, ["--check-params", *good]) == 1
    assert capsys.readouterr() == ("", line + "\n")


@pytest.mark.parametrize(("module", "good", "line", "wrong", "other"), COMMANDS)
def test_the_parameter_check_is_there_already(
    module: str, good: list[str], line: str, wrong: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(module, wrong) == 1
    assert capsys.readouterr().out.startswith("Commandline parameter is invalid.\n")
    assert run(module, other) == 1
    assert capsys.readouterr().err == f"{line.split()[0]} does not do -R.\nmdf-rearrange does.\n"


@pytest.mark.parametrize(("module", "good", "line", "wrong", "other"), COMMANDS)
def test_help_and_version_need_no_operands(
    module: str, good: list[str], line: str, wrong: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    name = line.split()[0]
    assert run(module, ["-h"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: {name} ")
    assert run(module, ["-v"]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: version ")
