# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual environment of the checkout's own, made with nothing but Python and pip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
PACKAGES = ("core", "capture[fast]", "rearrange", "split", "xen", "vmcoreinfo", "dmesg")


def environment(name: str, *requirements: str) -> Path:
    """The folder of programs of the environment `name`, in which pip has installed `requirements`."""
    programs = BUILD / name / "bin"
    python = programs / "python"
    if not python.exists():
        # Some systems have no ensurepip: the pip that is there installs for the new Python.
        run(sys.executable, "-m", "venv", "--without-pip", str(BUILD / name))
    run(sys.executable, "-m", "pip", "--python", str(python), "install", "-q", *requirements)
    return programs


def everything() -> list[str]:
    """The requirements that stand for the umbrella and all packages of this checkout."""
    return [*(f"{ROOT}/packages/mdf-{name}" for name in PACKAGES), str(ROOT)]


def run(*command: str) -> None:
    """Runs a command, shown before; its failure ends the program with the same status."""
    print("+", *command, flush=True)
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)
