# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes a kernel, and checks what our makedumpfile saved of it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import loopback
from guests.kdump import steps
from guests.kdump.check import failed, saved, sent, whole
from guests.kdump.crash import POWER_CUT, Crash
from guests.kdump.debian_root import RESULTS, STEPS, debian_root, kdump_tools
from guests.kdump.debuginfo import opened
from guests.kdump.statement import Check
from judges import fetch
from mdf import rearrange


def reference() -> tuple[str, ...]:
    """The reference on this host: the newest one that was fetched, else the one that is installed."""
    return fetch.newest("makedumpfile") or (shutil.which("makedumpfile", path="/usr/bin:/usr/sbin") or "makedumpfile",)


def checks(kernel: str) -> Iterator[Check]:
    """Two crashes of a kernel: one is saved in every way, the other is cut off by switching the machine off."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        received = folder / "received"
        with loopback.server(folder, sys.executable, rearrange.__file__, str(received)) as server:
            options = " ".join(server.options("/key"))
            script = steps.SAVE + steps.SEND.format(options=options, user=server.user) + steps.FAIL + steps.RAW
            captured = Crash(
                kernel, script, files={"key": server.key.read_bytes(), "etc/passwd": b"root:x:0:0::/:/bin/sh\n"}
            ).run("saved")
        yield from saved(captured, reference())
        yield from sent(captured, received)
        yield from failed(captured)
        yield from opened(kernel, captured)
    print(*(f"{name}: {step.seconds:.1f} s" for name, step in captured.steps.items()), sep=", ")
    cut = Crash(kernel, steps.POWER_CUT, reference=False, until=POWER_CUT).run("power-cut")
    left = cut.folder / "power"
    yield Check("switched off in the middle, a dump is there", left.exists() and left.stat().st_size > 0)
    yield Check("and does not pass for a whole one", not whole(left))
    root = debian_root()
    if root is None:
        print("mmdebstrap is not installed, or this is not root: kdump-tools is not asked")
        return
    debian = Crash(kernel, STEPS, ours=False, reference=False, root=root, results=RESULTS).run("kdump-tools")
    yield from kdump_tools(debian, reference())


def crash(kernel: str) -> int:
    """Prints each check of a kernel; 1 if one does not hold."""
    wrong = 0
    start = time.monotonic()
    for check in checks(kernel):
        print("ok   " if check.holds else "WRONG", check.statement, "" if check.holds else check.detail, flush=True)
        wrong += not check.holds
    print(f"{kernel}: {wrong} wrong, {time.monotonic() - start:.0f} s", flush=True)
    return min(wrong, 1)
