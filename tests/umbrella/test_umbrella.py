# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

import makedumpfile
from children import environment, fastest
from factory import flatten
from makedumpfile import __main__ as umbrella
from mdf.core.options import Mode


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """The calls of packages' `main`, as (module, arguments); they return 42."""
    calls: list[tuple[str, list[str]]] = []

    def imported(module: str) -> SimpleNamespace:
        def main(argv: Sequence[str]) -> int:
            calls.append((module, list(argv)))
            return 42

        return SimpleNamespace(main=main)

    monkeypatch.setattr(umbrella, "import_module", imported)
    return calls


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        ("-cd31 vmcore dump", "mdf.capture.cli"),
        ("-Fcd31 vmcore", "mdf.capture.cli"),
        ("vmcore dump -E", "mdf.capture.cli"),
        ("--mem-u /proc/kcore", "mdf.capture.cli"),
        ("--split vmcore a b", "mdf.split.cli"),
        ("--reass a b dump", "mdf.split.reassemble"),
        ("-X vmcore dump", "mdf.xen.cli"),
        ("--dump-dmesg vmcore log", "mdf.dmesg.cli"),
        ("-g info -x vmlinux", "mdf.vmcoreinfo.cli"),
        ("--check-params -cd31 vmcore dump", "mdf.capture.cli"),
    ],
)
def test_the_mode_decides_the_package_which_gets_all_arguments(
    arguments: str, module: str, handed_over: list[tuple[str, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert umbrella.main(arguments.split()) == 42
    assert handed_over == [(module, arguments.split())]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "own"),
    [
        ("-R dump", "-R -- dump"),
        ("dump -fR --mess 4", "-f -R --message-level 4 -- dump"),
        ("-R --keep-partial dump", "-R --keep-partial -- dump"),
        ("-R --check dump", "-R --check-params -- dump"),  # --check is an abbreviation here.
        ("-R --num-threads=4 --non-mmap -b 4 dump", "-R -- dump"),
    ],
)
def test_mdf_rearrange_which_reads_its_own_options_gets_them_spelled_out(
    arguments: str, own: str, handed_over: list[tuple[str, list[str]]]
) -> None:
    assert umbrella.main(arguments.split()) == 42
    assert handed_over == [("mdf.rearrange", own.split())]


def test_what_came_of_a_stream_without_its_end_is_kept_if_wanted(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    for options in ([], ["--keep-partial"]):
        result = run("-R", *options, str(dump), stdin=flatten(b"memory" * 99)[:-16])
        assert (result.returncode, result.stdout) == (1, "\nmakedumpfile Failed.\n")
        assert "--keep-partial keeps what came" in result.stderr or options
        assert [path.name for path in tmp_path.iterdir()] == ["dump-incomplete"] * len(options)
    assert (tmp_path / "dump-incomplete").read_bytes() == b"memory" * 99


@pytest.mark.parametrize("arguments", ["", "vmcore", "-q", "-c -E vmcore dump", "-R a b", "--xen vmcore dump"])
def test_a_wrong_command_line_is_handed_to_nobody(
    arguments: str, handed_over: list[tuple[str, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert umbrella.main(arguments.split()) == 1
    assert handed_over == []
    assert capsys.readouterr().out == (
        "Commandline parameter is invalid.\nTry `makedumpfile --help' for more information.\n\nmakedumpfile Failed.\n"
    )


def test_every_mode_has_its_package() -> None:
    single = {mode for mode in Mode if mode.value.bit_count() == 1}
    assert set(umbrella.MODULES) == single


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(umbrella.MODULES, Mode.DMESG, "mdf.nothere.cli")
    assert umbrella.main(["--dump-dmesg", "vmcore", "log"]) == 1
    out, err = capsys.readouterr()
    assert err == "This needs mdf-nothere, which is not installed.\npip install mdf-nothere\n"
    assert out == "\nmakedumpfile Failed.\n"


def test_a_package_that_misses_something_else_is_not_called_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(module: str) -> SimpleNamespace:
        raise ModuleNotFoundError("No module named 'zlib'", name="zlib")

    monkeypatch.setattr(umbrella, "import_module", imported)
    with pytest.raises(ModuleNotFoundError):
        umbrella.main(["--dump-dmesg", "vmcore", "log"])


def run(*argv: str, code: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(["-c", code] if code else ["-m", "makedumpfile"]), *argv]
    result = subprocess.run(command, input=stdin, env=environment(), capture_output=True, check=False)
    return subprocess.CompletedProcess(command, result.returncode, result.stdout.decode(), result.stderr.decode())


def test_the_version_is_printed_in_the_known_form() -> None:
    result = run("-v")
    lines = result.stdout.split("\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert lines[0].startswith(f"makedumpfile: version {makedumpfile.__version__} (released on ")
    assert [line.split("\t")[0] for line in lines[1:4]] == ["lzo", "snappy", "zstd"]
    assert lines[4:] == ["", ""]


def test_help_goes_where_common_messages_go() -> None:
    assert run("-h").stdout.startswith("usage: makedumpfile ")
    flattened = run("-F", "--help")
    assert flattened.stdout == ""
    assert flattened.stderr.startswith("usage: makedumpfile ")
    assert run("--message-level", "0", "-h").stdout == ""


def test_the_version_loads_no_package_and_no_argparse() -> None:
    code = (
        "import sys; from makedumpfile.__main__ import main; main(['-v'])\n"
        "print([m for m in ('argparse', 'mdf.capture', 'elftools', 'ctypes') if m in sys.modules])"
    )
    assert run(code=code).stdout.endswith("\n[]\n")


def test_the_version_takes_at_most_150_milliseconds_of_cpu() -> None:
    assert fastest(["-m", "makedumpfile", "-v"], enough=0.15) <= 0.15
