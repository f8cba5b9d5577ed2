# SPDX-License-Identifier: GPL-2.0-or-later
"""The inputs: a large vmcore, made once, and dumps of it."""

import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from bench.cases import Program
from bench.measure import FailedRunError

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from judges import fetch  # noqa: E402 (among the tests)


def cache() -> Path:
    """Where the made vmcores stay."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MDF_CACHE") or Path(caches, "makedumpfile-tests"))


def original() -> tuple[str, ...]:
    """The command line of the newest original that is here."""
    newest = fetch.newest("makedumpfile")
    if newest:
        return newest
    return (shutil.which("makedumpfile", path="/usr/bin:/usr/sbin") or "/usr/bin/makedumpfile",)


def large_vmcore(gib: int, stored: int | None = None) -> Path:
    """A vmcore of a machine with `gib` GiB of memory, made by tests/factory; all but `stored` GiB are a hole."""
    stored = min(stored or gib, gib)
    target = cache() / f"large-{gib}GiB-{stored}" / "vmcore"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name("unfinished")
        print(f"making {target}", file=sys.stderr)
        environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
        command = [sys.executable, "-m", "factory.large", "--gib", str(stored)]
        command += ["--repeat", str(gib - stored), str(unfinished)]
        if subprocess.run(command, env=environment).returncode:
            unfinished.unlink(missing_ok=True)
            raise FailedRunError(f"{' '.join(command)} failed")
        os.replace(unfinished, target)
    return target


def dump_of(vmcore: Path, options: tuple[str, ...], maker: Program, folder: Path) -> Path:
    """A dump of the vmcore, made by `maker`; it stays in `folder`."""
    target = folder / f"dump{''.join(options)}"
    if not target.exists():
        command = (*maker.command, *options, str(vmcore), *[str(target)] * ("-F" not in options))
        with target.open("wb") if "-F" in options else nullcontext(subprocess.DEVNULL) as output:
            result = subprocess.run(
                command, env=maker.environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False
            )
        if result.returncode:
            raise FailedRunError(f"{' '.join(command)}: {result.stderr.strip()[-500:]}")
    return target
