# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from mdf import rearrange


def test_what_is_not_there_yet_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert rearrange.main(["dump"]) == 1
    assert capsys.readouterr() == ("\nmakedumpfile Failed.\n", "mdf-rearrange cannot rearrange a stream yet.\n")


def test_help_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert rearrange.main(["-h"]) == 0
    assert "usage: mdf-rearrange DUMPFILE < STREAM" in capsys.readouterr().out


def test_the_file_runs_alone_without_site_packages(tmp_path: Path) -> None:
    copy = tmp_path / "mdf-rearrange"
    copy.write_bytes(Path(rearrange.__file__).read_bytes())
    result = subprocess.run([sys.executable, "-I", "-S", copy, "--help"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage:" in result.stdout


def test_the_syntax_is_that_of_python_3_6() -> None:
    ast.parse(Path(rearrange.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
