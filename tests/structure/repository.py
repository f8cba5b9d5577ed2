# SPDX-License-Identifier: GPL-2.0-or-later
"""The repository as data: its distributions, its source files, and what they import."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "packages", "tests", "tools", "bench", "guests", "man", ".ci")


@dataclass(frozen=True)
class Distribution:
    """One `pyproject.toml` and the sources beside it."""

    folder: Path
    project: dict[str, Any]

    @property
    def name(self) -> str:
        """The name it is installed by."""
        return str(self.project["name"])

    @property
    def modules(self) -> list[Path]:
        """Its source files."""
        return sorted((self.folder / "src").rglob("*.py"))

    @property
    def requirements(self) -> set[str]:
        """The names of all distributions it declares, extras included."""
        extras = self.project.get("optional-dependencies", {})
        declared = [*self.project.get("dependencies", []), *(line for lines in extras.values() for line in lines)]
        names = (re.match(r"[\w.-]+", line) for line in declared)
        return {match.group().lower() for match in names if match}


def distributions() -> list[Distribution]:
    """The umbrella and all packages."""
    files = [ROOT / "pyproject.toml", *sorted(ROOT.glob("packages/*/pyproject.toml"))]
    return [Distribution(file.parent, tomllib.loads(file.read_text())["project"]) for file in files]


def files(*suffixes: str) -> list[Path]:
    """The repository's own files, by suffix; all of them without one."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.iterdir() if path.name not in (".git", ".tox")]
    return sorted(
        path
        for path in found
        if path.is_file() and "__pycache__" not in path.parts and (not suffixes or path.suffix in suffixes)
    )


def imports(path: Path) -> set[str]:
    """The modules a file imports, whether at the top or within a function; `from a import b` is a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
