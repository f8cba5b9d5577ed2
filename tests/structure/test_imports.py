# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import sys
from pathlib import Path

import pytest

from structure.repository import ROOT, Distribution, distributions, imports

CORE = ROOT / "packages/mdf-core/src/mdf/core"

# What each part of mdf.core may import of mdf.core, besides itself. The dump layers do not know the command line.
LAYERS = {
    "errors": (),
    "messages": ("errors",),
    "release": ("errors",),
    "bitmap": ("errors",),
    "formats": ("errors", "release", "messages", "bitmap"),
    "dumps": ("errors", "release", "messages", "bitmap", "formats"),
    "arch": ("errors", "release", "messages", "bitmap", "formats", "dumps"),
    "debuginfo": ("errors", "release", "formats"),
    "kernel": ("errors", "release", "messages", "bitmap", "formats", "dumps", "arch", "debuginfo"),
    "options": (),
    "paths": (),
    "lenient": ("errors", "messages"),
    "commandline": ("errors", "messages", "options", "lenient"),
    "rules": ("errors", "options", "lenient", "commandline"),
    "help": ("options",),
    "version": ("__version__",),
    "manual": ("options", "help"),
    "command": ("errors", "messages", "lenient", "commandline", "version"),
}

# The distribution that brings a module, where the names differ.
BROUGHT_BY = {"elftools": "pyelftools", "zlib_ng": "zlib-ng", "backports": "backports.zstd"}
# In the standard library of a newer Python than the oldest supported one.
NEW_IN_STDLIB = {"compression"}


def core_part(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_no_layer_of_the_core_reaches_up(path: Path) -> None:
    part = core_part(path)
    if part == "__init__":
        assert not {name for name in imports(path) if name.startswith("mdf")}
        return
    for name in imports(path):
        if name.startswith("mdf.core."):
            assert name.split(".")[2] in {part, *LAYERS[part]}, f"{part} imports {name}"
        else:
            assert name.split(".")[0] != "mdf" or name == "mdf.core", f"{part} imports {name}"


def owner(name: str) -> str:
    """The distribution a module comes from; empty for the standard library."""
    parts = name.split(".")
    if parts[0] == "mdf":
        return "-".join(parts[:2]) if len(parts) > 1 else "mdf"
    if parts[0] in sys.stdlib_module_names or parts[0] in NEW_IN_STDLIB:
        return ""
    return BROUGHT_BY.get(parts[0], parts[0])


@pytest.mark.parametrize("distribution", distributions(), ids=lambda distribution: str(distribution.name))
def test_a_package_imports_only_what_it_declares(distribution: Distribution) -> None:
    allowed = {"", distribution.name, *distribution.requirements}
    for path in distribution.modules:
        for name in imports(path):
            assert owner(name) in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_rearrange_is_one_file_of_the_standard_library_alone() -> None:
    [rearrange] = [known for known in distributions() if known.name == "mdf-rearrange"]
    [path] = rearrange.modules
    assert {owner(name) for name in imports(path)} == {""}
    assert rearrange.requirements == set()


def test_the_umbrella_declares_every_package() -> None:
    umbrella, *packages = distributions()
    assert {package.name for package in packages} <= umbrella.requirements


def test_the_checks_see_a_forbidden_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from mdf.core.kernel import Kernel\n    import numpy.linalg\n")
    assert imports(path) == {"mdf.core.kernel", "mdf.core.kernel.Kernel", "numpy.linalg"}
    assert {owner(name) for name in imports(path)} == {"mdf-core", "numpy"}
