# SPDX-License-Identifier: GPL-2.0-or-later
"""The dump of a Xen host goes to mdf-xen, whether an option says so or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from factory import Spec, build
from factory.xen import XenHost, XenSpec
from makedumpfile import __main__ as umbrella


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules whose `main` was called."""
    called: list[str] = []

    def imported(module: str) -> SimpleNamespace:
        def main(argv: Sequence[str]) -> int:
            called.append(module)
            return 0

        return SimpleNamespace(main=main)

    monkeypatch.setattr(umbrella, "import_module", imported)
    return called


@pytest.fixture(scope="module")
def xen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return XenHost(XenSpec()).elf(tmp_path_factory.mktemp("xen") / "vmcore")


@pytest.mark.parametrize("arguments", ["-d1 {} dump", "-F {}", "--split {} a b", "--dump-dmesg {} log", "-X {} dump"])
def test_the_vmcore_of_a_xen_host_goes_to_mdf_xen(arguments: str, xen: Path, modules: list[str]) -> None:
    assert umbrella.main(arguments.format(xen).split()) == 0
    assert modules == ["mdf.xen.cli"]


@pytest.mark.parametrize(
    ("arguments", "module"),
    [("-d1 {} dump", "mdf.capture.cli"), ("--split {} a b", "mdf.split.cli"), ("--dump-dmesg {} log", "mdf.dmesg.cli")],
)
def test_other_vmcores_do_not(arguments: str, module: str, tmp_path: Path, modules: list[str]) -> None:
    vmcore = build(Spec()).elf(tmp_path / "vmcore")
    assert umbrella.main(arguments.format(vmcore).split()) == 0
    assert umbrella.main(arguments.format(tmp_path / "missing").split()) == 0
    assert modules == [module, module]


def test_nothing_is_opened_to_check_parameters(xen: Path, modules: list[str]) -> None:
    assert umbrella.main(["--check-params", "-d1", str(xen), "dump"]) == 0
    assert modules == ["mdf.capture.cli"]
