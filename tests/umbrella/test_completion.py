# SPDX-License-Identifier: GPL-2.0-or-later
"""What the shells offer while a command line is typed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH_FILES = sorted([*ROOT.glob("completions/*.bash"), *ROOT.glob("packages/*/completions/*.bash")])


def offered(file: Path, words: list[str], folder: Path) -> list[str]:
    """What bash offers for the last of `words`, with the files of `folder`."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _${1//-/_}; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = ["bash", "--norc", "-uc", script, "bash", str(file), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert result.stderr == ""
    return sorted(result.stdout.split())


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--dum"], ["--dump-dmesg"]),
        (["--num-threads", "=", ""], []),
        (["-d", ""], []),
        (["--work-dir", ""], ["folder"]),
        (["-x", "vm"], ["vmcore", "vmlinux"]),
        (["-c", "-d", "31", "vmc"], ["vmcore"]),
        (["--xen"], ["--xen-dmesg", "--xen-page-state", "--xen-syms", "--xen-vmcoreinfo", "--xen_phys_start"]),
    ],
)
def test_bash_offers_options_files_or_folders(words: list[str], answer: list[str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "vmcore").touch()
    (tmp_path / "vmlinux").touch()
    assert offered(ROOT / "completions/makedumpfile.bash", ["makedumpfile", *words], tmp_path) == answer


@pytest.mark.parametrize("file", BASH_FILES, ids=lambda file: file.stem)
def test_every_command_completes_help(file: Path, tmp_path: Path) -> None:
    assert offered(file, [file.stem, "--hel"], tmp_path) == ["--help"]


@pytest.mark.parametrize("file", [file.with_name(f"_{file.stem}") for file in BASH_FILES], ids=lambda file: file.name)
def test_zsh_accepts_the_file(file: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    assert file.read_text().startswith(f"#compdef {file.name[1:]}\n")
    result = subprocess.run(["zsh", "-fn", str(file)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
