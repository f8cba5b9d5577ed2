# SPDX-License-Identifier: GPL-2.0-or-later
"""crash and drgn on what was saved, with the debug information of the kernel that crashed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from guests.debian import apt_for, unpack_vmlinux
from guests.kdump.crash import Captured
from guests.kdump.kernels import KERNELS
from guests.kdump.statement import Check
from guests.parts import guests_cache, parts
from judges import fetch
from judges.fetch import UnavailableError

COMMANDS = "sys\nbt -a\nlog\nps\nkmem -s\nexit\n"


def vmlinux(kernel: str) -> Path:
    """The kernel's vmlinux with debug information; fetched once, all else of its package is left out."""
    guest = KERNELS[kernel]
    folder = guests_cache() / f"{kernel}-debug"
    target = folder / "vmlinux"
    if target.exists():
        return target
    shutil.rmtree(folder, ignore_errors=True)
    package = apt_for(guest, folder / "apt").download(f"linux-image-{parts(kernel, guest).release}-dbg")
    unpack_vmlinux(package, folder / "part")
    shutil.rmtree(folder / "apt")
    (folder / "part").rename(target)
    return target


def opened(kernel: str, captured: Captured) -> Iterator[Check]:
    """Whether crash and drgn find in our dumps what they find in the raw vmcore; each only if it is installed."""
    has_crash = fetch.newest("crash") or shutil.which("crash")
    there = {"crash": _crash} if has_crash else {}
    there |= {"drgn": _drgn} if find_spec("drgn") else {}
    for name in {"crash", "drgn"} - there.keys():
        print(f"{name} is not installed: not asked")
    try:
        image = vmlinux(kernel) if there else Path()
    except UnavailableError as error:
        print(f"no debug information of {kernel}: {' and '.join(there)} not asked: {error}")
        return
    for name, tool in there.items():
        raw = tool(image, captured.folder / "vmcore")
        yield Check(f"{name} finds the crash in the raw vmcore", "sysrq" in raw, raw[-500:])
        for dump in ("dump", "elf"):
            yield Check(f"{name} finds in {dump} what it finds there", tool(image, captured.folder / dump) == raw)


def _crash(image: Path, dump: Path) -> str:
    """What crash prints, without the dump's own name."""
    program = fetch.newest("crash") or ("crash",)
    command = (*program, "-s", "--no_modules", str(image), str(dump))
    result = subprocess.run(command, input=COMMANDS, capture_output=True, text=True, errors="replace", check=False)
    return "\n".join(line for line in result.stdout.splitlines() if not line.lstrip().startswith("DUMPFILE:"))


def _drgn(image: Path, dump: Path) -> str:
    """What drgn finds: the release, the crashed thread's stack, all tasks, the log."""
    # Its helpers are made at run time, unseen by type checkers.
    drgn, helpers = import_module("drgn"), import_module("drgn.helpers.linux")
    program = drgn.Program()
    program.set_core_dump(dump)
    program.load_debug_info([image])
    found = [
        program["init_uts_ns"].name.release.string_(),
        str(program.stack_trace(program.crashed_thread().object)),
        sorted((task.pid.value_(), task.comm.string_()) for task in helpers.for_each_task(program)),
        helpers.get_dmesg(program),
    ]
    return "\n".join(map(str, found))
