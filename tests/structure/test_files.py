# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import makedumpfile
import mdf.core
from mdf import rearrange
from mdf.core.version import RELEASED
from structure.repository import ROOT, Distribution, distributions, files

SPDX = "SPDX-License-Identifier: GPL-2.0-or-later"
MAX_LINES = 500

# Paths and names of the machines this was written on, spelled so that this file does not contain them.
FOREIGN = re.compile(
    "|".join(["/" + r"work\b", "/tmp/" + "corpus", "/tmp/" + "brief", "shared/" + "design", "shared/" + "reference"])
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


SOURCES = files(".py")


@pytest.mark.parametrize("path", [*SOURCES, *files(".toml", ".ini", ".sh", ".8")], ids=name_of)
def test_a_source_file_begins_with_its_licence(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert SPDX in (lines[1] if lines[0].startswith("#!") else lines[0])


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_is_not_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in SOURCES if "src" in path.parts], ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_file_names_paths_of_another_machine() -> None:
    for path in files():
        if path.suffix not in (".xz", ".png", ".gz"):
            found = FOREIGN.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{name_of(path)}: {found}"


def test_no_namespace_package_is_made_a_regular_one() -> None:
    assert not list(ROOT.glob("packages/*/src/mdf/__init__.py"))


def test_all_packages_have_one_version() -> None:
    umbrella, *packages = distributions()
    version = umbrella.project["version"]
    assert {package.project["version"] for package in packages} == {version}
    assert {makedumpfile.__version__, mdf.core.__version__, rearrange.__version__} == {version}
    ours = {package.name for package in packages}
    for distribution in distributions():
        for requirement in distribution.project.get("dependencies", []):
            name, _, pinned = requirement.partition("==")
            assert pinned == version or name.partition("[")[0] not in ours
    assert f"\n## [{version}] - {RELEASED}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("distribution", distributions(), ids=lambda distribution: str(distribution.name))
def test_a_package_carries_its_readme_licence_and_types(distribution: Distribution) -> None:
    folder = distribution.folder
    assert (folder / "README.md").is_file()
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert folder.name == "mdf-rearrange" or list(folder.glob("src/**/py.typed"))
