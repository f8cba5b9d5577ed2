# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the wheel and the source archive of every package: `python tools/dist.py [FOLDER]` (default: dist).

The same sources give the same bytes, whenever and wherever they are built: times in the archives are the day of the
release, unless SOURCE_DATE_EPOCH says otherwise. The needed programs are `build` and `hatchling`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from environment import ROOT

sys.path.insert(0, str(ROOT / "packages/mdf-core/src"))

from mdf.core.version import RELEASED


def sources() -> list[Path]:
    """The folders that have a pyproject.toml: that of the umbrella, then those of the packages."""
    return [ROOT, *sorted(file.parent for file in ROOT.glob("packages/*/pyproject.toml"))]


def build(source: Path, target: Path) -> None:
    """Builds one package, both ways from its sources: what is not in the source archive is not needed for the wheel."""
    released = datetime.strptime(RELEASED, "%d %b %Y").replace(tzinfo=UTC)
    environment = {"SOURCE_DATE_EPOCH": str(int(released.timestamp()))} | os.environ
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{source.name} cannot be built:\n{result.stdout}{result.stderr}")


def main() -> None:
    """Builds all packages into one folder."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist")
    for source in sources():
        build(source, target)
    for file in sorted(target.iterdir()):
        print(f"{file.stat().st_size:>8} {file.name}")


if __name__ == "__main__":
    main()
