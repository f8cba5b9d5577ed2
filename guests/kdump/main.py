# SPDX-License-Identifier: GPL-2.0-or-later
"""Crashes a kernel, and checks what our makedumpfile saved of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import loopback
from guests.kdump import steps
from guests.kdump.check import failed, saved, sent, whole
from guests.kdump.crash import POWER_CUT, Crash
from guests.kdump.debian_root import RESULTS, STEPS, debian_root, kdump_tools
from guests.kdump.debuginfo import opened
from guests.kdump.kernels import KERNELS
from guests.kdump.parts import REFERENCE, program, reference_root
from guests.kdump.statement import Check
from mdf import rearrange


def reference(kernel: str) -> tuple[str, ...]:
    """The reference on this host."""
    return program(reference_root(KERNELS[kernel]), REFERENCE)


def checks(kernel: str) -> Iterator[Check]:
    """Three crashes of a kernel: saved in every way, cut off by switching the machine off, left to kdump-tools.

    Raises GuestError for a guest that fails twice, UnavailableError without its packages.
    """
    yield from _saved(kernel)
    yield from _cut_off(kernel)
    yield from _left_to_kdump_tools(kernel)


def _saved(kernel: str) -> Iterator[Check]:
    with TemporaryDirectory() as scratch, ExitStack() as stack:
        received = Path(scratch, "received")
        send, files = "", {}
        if loopback.available():
            receiver = (sys.executable, rearrange.__file__, str(received))
            server = stack.enter_context(loopback.server(Path(scratch), *receiver))
            send = steps.SEND.format(options=" ".join(server.options("/key")), user=server.user)
            files = {"key": server.key.read_bytes(), "etc/passwd": b"root:x:0:0::/:/bin/sh\n"}
        else:
            print("openssh-server is not installed: nothing is sent through ssh")
        captured = Crash(kernel, steps.SAVE + send + steps.FAIL + steps.RAW, files=files).run("saved")
        yield from saved(captured, reference(kernel))
        if send:
            yield from sent(captured, received)
        yield from failed(captured)
        yield from opened(kernel, captured)
    print(*(f"{name}: {step.seconds:.1f} s" for name, step in captured.steps.items()), sep=", ")


def _cut_off(kernel: str) -> Iterator[Check]:
    cut = Crash(kernel, steps.POWER_CUT, reference=False, until=POWER_CUT).run("power-cut")
    left = cut.folder / "power"
    yield Check("switched off in the middle, a dump is there", left.exists() and left.stat().st_size > 0)
    yield Check("and does not pass for a whole one", not whole(left))


def _left_to_kdump_tools(kernel: str) -> Iterator[Check]:
    root = debian_root()
    if root is None:
        print("mmdebstrap is not installed, or cannot make a root (it has to be root): kdump-tools is not asked")
        return
    debian = Crash(kernel, STEPS, ours=False, reference=False, root=root, results=RESULTS).run("kdump-tools")
    yield from kdump_tools(debian, reference(kernel))


def crash(kernel: str) -> int:
    """Prints each check of a kernel; 1 if one does not hold."""
    wrong = 0
    start = time.monotonic()
    for check in checks(kernel):
        print("ok   " if check.holds else "WRONG", check.statement, "" if check.holds else check.detail, flush=True)
        wrong += not check.holds
    print(f"{kernel}: {wrong} wrong, {time.monotonic() - start:.0f} s", flush=True)
    return min(wrong, 1)
