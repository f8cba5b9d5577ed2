# SPDX-License-Identifier: GPL-2.0-or-later
"""A run loads only what it uses: most of the time of a small dump is the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from children import environment
from factory import MIB, Ram, Spec, build

CODE = """\
import sys
from makedumpfile.__main__ import main
status = main(sys.argv[1:])
print("\\n", status, *sys.modules)
"""
FOR_ANY = {f"mdf.core.{part}" for part in ("command", "commandline", "errors", "lenient", "messages", "options")}
PACKAGES = {"makedumpfile", "makedumpfile.__main__", "mdf", "mdf.core"}


def loaded(*arguments: str) -> set[str]:
    """The modules that a run has loaded in the end."""
    result = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    status, *modules = result.stdout.splitlines()[-1].split()
    assert status == "0", result
    return set(modules)


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in ("makedumpfile", "mdf")}


@pytest.fixture(scope="module")
def vmcore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    core = build(Spec(release="6.1.0", ram=(Ram(0x1000, 0x9F000), Ram(MIB, 24 * MIB))))
    return core.elf(tmp_path_factory.mktemp("vmcore") / "vmcore")


def test_the_version_loads_the_command_line_alone() -> None:
    modules = loaded("-v")
    libraries = {name for name in ours(modules) if name.startswith("mdf.core.dumps")}  # Whether LZO's is there.
    assert ours(modules) - libraries == PACKAGES | FOR_ANY | {"mdf.core.version"}
    assert "argparse" not in modules


def test_the_help_loads_the_manual_besides() -> None:
    manual = {"mdf.core.manual", "mdf.core.help", "makedumpfile.manual"}
    assert ours(loaded("-h")) == PACKAGES | FOR_ANY | manual


@pytest.mark.parametrize(
    ("options", "without"),
    [
        ("-d 31", "mdf.core.dumps.codecs mdf.core.debuginfo.btf mdf.core.debuginfo.wanted"),
        (
            "-d 31 --trust-filter",
            "mdf.core.dumps.codecs mdf.capture.selfcheck mdf.core.debuginfo mdf.capture.free_lists",
        ),
        ("-c -d 31 --num-threads 0", "mdf.core.debuginfo.btf mdf.core.debuginfo.wanted"),
    ],
)
def test_a_dump_of_an_elf_vmcore_loads_nothing_for_other_dumps(
    options: str, without: str, vmcore: Path, tmp_path: Path
) -> None:
    modules = loaded(*options.split(), str(vmcore), str(tmp_path / "dump"))
    never = """
        mdf.split mdf.xen mdf.dmesg mdf.vmcoreinfo mdf.rearrange makedumpfile.manual mdf.core.manual mdf.core.help
        mdf.core.version mdf.core.dumps.kdump mdf.core.dumps.page_store mdf.core.dumps.parts mdf.core.dumps.flattened
        mdf.capture.manual mdf.capture.elf_writer mdf.capture.recode mdf.capture.processes mdf.capture.vtop
        mdf.capture.check mdf.core.debuginfo.find mdf.core.debuginfo.dwarf elftools argparse socket
    """
    parts = {".".join(name.split(".")[:count]) for name in modules for count in range(1, 6)}
    assert parts & {*never.split(), *without.split()} == set()
    machines = {name for name in modules if name.startswith("mdf.core.arch.")}
    assert machines == {f"mdf.core.arch.{name}" for name in ("machine", "paging", "x86_64")}


def test_what_is_not_loaded_at_the_start_is_loaded_when_it_is_wanted(vmcore: Path, tmp_path: Path) -> None:
    dump, again, elf = tmp_path / "dump", tmp_path / "again", tmp_path / "elf"
    loaded("-c", "-d", "1", str(vmcore), str(dump))
    assert {"mdf.core.dumps.kdump", "mdf.capture.recode"} <= loaded("-c", "-d", "31", str(dump), str(again))
    assert "mdf.capture.elf_writer" in loaded("-E", "-d", "31", str(vmcore), str(elf))
