# SPDX-License-Identifier: GPL-2.0-or-later
"""Which modules the commands need, found out by loading them.

A fresh interpreter runs every import statement of our modules, those within functions included, lets each command print
its help, and tells which modules it has then. What else a library imports within functions of its own is not among
them: its authors keep that for rare uses, and following it leads through the whole standard library.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mdf.core.dumps.codecs import CODECS
from mdf.core.errors import MissingInfoError
from mdf.initrd.commands import LEFT_OUT

OURS = ("makedumpfile", "mdf")

# What the interpreter loads at its start, or when a script is a zip file.
START = ("encodings.ascii", "encodings.latin_1", "encodings.utf_8", "runpy", "zipimport")

# Runs statements; a module that is not there is one that can be done without. Prints names and files of modules, and
# the files of all shared libraries that are in memory then.
LOAD = """\
import sys
path, left_out, statements, commands = eval(sys.argv[1])
sys.path[:] = path
sys.modules.update(dict.fromkeys(left_out))
for statement in statements:
    try:
        exec(statement, {})
    except ImportError:
        pass
shown, sys.stdout = sys.stdout, open("/dev/null", "w")
for module in commands:
    sys.modules[module].main(["-h"])
sys.stdout = shown
modules = [(name, module.__file__) for name, module in sys.modules.items()
    if module is not None and name != "__main__" and getattr(module, "__file__", None)]
with open("/proc/self/maps") as maps:
    print((modules, sorted({line.split(maxsplit=5)[5].strip() for line in maps if ".so" in line})))
"""


@dataclass(frozen=True)
class Module:
    """A module by its full name, and the file it was loaded from: Python source, or native code."""

    name: str
    file: Path

    @property
    def source(self) -> bool:
        """Whether the file is Python source."""
        return self.file.suffix == ".py"

    @property
    def ours(self) -> bool:
        """Whether it is one of this project's."""
        return self.name.partition(".")[0] in OURS

    @property
    def path(self) -> str:
        """Its place below a folder of modules, without a suffix."""
        path = self.name.replace(".", "/")
        return f"{path}/__init__" if self.file.name == "__init__.py" else path


@dataclass(frozen=True)
class Loaded:
    """The `modules`, sorted by name (built-in ones have no file), and the shared `libraries` they opened or needed."""

    modules: tuple[Module, ...]
    libraries: tuple[Path, ...]


def load(roots: Iterable[str]) -> Loaded:
    """All that the commands in the modules `roots` need.

    Raises MissingInfoError if they cannot be loaded.
    """
    commands = tuple(roots)
    packages = {"mdf.core", *map(_package_of, commands)}
    statements = [f"import {name}" for name in START]
    statements += [f"import {module}" for codec in CODECS for module in codec.modules]
    for name, file in sorted(module for package in packages for module in _modules_of(package)):
        statements += [f"import {name}", *_imports(file)]
    question = repr((sys.path, LEFT_OUT, list(dict.fromkeys(statements)), commands))
    child = subprocess.run([sys.executable, "-IS", "-c", LOAD, question], capture_output=True, text=True, check=False)
    if child.returncode:
        raise MissingInfoError(f"The modules of makedumpfile cannot be loaded: {child.stderr.strip()[-500:]}")
    found: tuple[list[tuple[str, str]], list[str]] = ast.literal_eval(child.stdout)
    modules = (own_module(name, Path(file)) for name, file in sorted(found[0]))
    return Loaded(tuple(module for module in modules if module), tuple(map(Path, found[1])))


def own_module(name: str, file: Path) -> Module | None:
    """The module that is found by `name`, which `file` may have been loaded for under another one.

    `os.path` is only another name of `posixpath`: None. `collections.abc` is a module of its own, which an interpreter
    may have replaced by `_collections_abc` at its start.
    """
    stem = file.parent.name if file.name.startswith("__init__.") else file.name.partition(".")[0]
    if stem == name.rpartition(".")[2]:
        return Module(name, file)
    own = Path(sysconfig.get_path("stdlib"), f"{name.replace('.', '/')}.py")
    return Module(name, own) if own.exists() else None


def _package_of(module: str) -> str:
    package = module.rpartition(".")[0]
    return module if package == "mdf" else package


def _modules_of(package: str) -> Iterator[tuple[str, Path]]:
    """The package's modules with their files, itself included; found without loading what lacks a library."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return
    yield package, Path(spec.origin)
    for folder in map(Path, spec.submodule_search_locations or ()):
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), file


def _imports(file: Path) -> Iterator[str]:
    """The import statements of a source file, wherever they are in it."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield ast.unparse(node)
