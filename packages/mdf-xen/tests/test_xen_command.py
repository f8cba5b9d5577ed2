# SPDX-License-Identifier: GPL-2.0-or-later
"""The command's parameter check, before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdf.core.commandline import parse
from mdf.core.errors import UsageError
from mdf.xen.cli import main
from mdf.xen.options import XenOptions


def test_help_and_version_need_no_operands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    assert capsys.readouterr().out.startswith("usage: mdf-xen ")
    assert main(["-v"]) == 0
    assert capsys.readouterr().out.startswith("mdf-xen: version ")


@pytest.mark.parametrize("operands", [["vmcore"], [], ["a", "b", "c"]])
def test_a_wrong_number_of_operands_is_said(operands: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-X", *operands]) == 1
    assert capsys.readouterr().out.startswith("Commandline parameter is invalid.\n")


def test_what_another_command_does_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-R", "dump"]) == 1
    assert capsys.readouterr().err == "mdf-xen does not do -R.\nmdf-rearrange does.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "-X -c -d 31 -x vmlinux vmcore dump",
        "-X -E vmcore dump",
        "-X -F vmcore",
        "-X --split vmcore one two",
        "-X --num-threads 2 vmcore dump",
        "--xen-dmesg --xen-syms syms vmcore log",
        "--dump-dmesg -x vmlinux vmcore log",
        "-i vmcoreinfo --xen-vmcoreinfo xen vmcore dump",
    ],
)
def test_parameters_are_checked_without_opening_a_file(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-params", *arguments.split()]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "arguments",
    [
        "-X -c -E vmcore dump",
        "-X -x vmlinux -i vmcoreinfo vmcore dump",
        "-X --xen-syms syms --xen-vmcoreinfo text vmcore dump",
        "-X --xen-page-state middle vmcore dump",
        "-X -g text vmcore dump",
    ],
)
def test_what_cannot_be_is_refused(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-params", *arguments.split()]) == 1
    assert "Commandline parameter is invalid." in capsys.readouterr().out


def test_the_hypervisors_text_and_the_kernels_are_two_options() -> None:
    options = XenOptions.from_parsed(parse("-i linux --xen-vmcoreinfo xen vmcore dump".split()))
    assert (options.dump.vmcoreinfo, options.xen_vmcoreinfo) == (Path("linux"), Path("xen"))
    assert options.xen_phys_start == 0
    assert options.page_state is None


def test_the_physical_start_may_be_in_hexadecimal() -> None:
    assert XenOptions.from_parsed(parse("--xen_phys_start 0x1f800000 vmcore dump".split())).xen_phys_start == 0x1F800000


def test_a_page_state_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match="--xen-page-state is old or new, not 'middle'"):
        XenOptions.from_parsed(parse("--xen-page-state middle vmcore dump".split()))
