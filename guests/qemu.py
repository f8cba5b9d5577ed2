# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a machine in QEMU: its console, and the monitor's protocol (QMP)."""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from guests.machines import Guest

SILENCE = 180  # seconds without a byte on the console: the guest hangs


class GuestError(Exception):
    """A guest did not do what it should; a second try may succeed."""


class Machine:
    """A running machine; a context manager that ends it. All that the console shows is in `folder`/console."""

    def __init__(self, guest: Guest, folder: Path, vmlinuz: Path, initrd: Path, disk: Path) -> None:
        append = f"console={guest.console} panic=5 printk.devkmsg=on {guest.append}".strip()
        self._monitor = folder / "qmp"
        self._monitor.unlink(missing_ok=True)
        command = [
            *guest.qemu,
            *("-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio"),
            *("-qmp", f"unix:{self._monitor},server=on,wait=off"),
            *("-kernel", str(vmlinuz), "-initrd", str(initrd), "-append", append),
            *("-drive", f"file={disk},format=raw,if=none,id=results,cache=unsafe"),
            *("-device", f"{guest.disk},drive=results"),
        ]
        self._console = (folder / "console").open("wb")
        self._seen = b""
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._console
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._console.close()

    def wait_for(self, mark: bytes, limit: float = 900, failures: tuple[bytes, ...] = ()) -> None:
        """Waits for a line on the console.

        Raises GuestError after `limit` seconds, or SILENCE, or when QEMU ends, or when a line has one of `failures`.
        """
        assert self._process.stdout is not None
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while mark not in self._seen:
                if not selector.select(min(SILENCE, end - time.monotonic())):
                    raise GuestError(f"the guest is silent; waited for {mark.decode()}")
                data = os.read(self._process.stdout.fileno(), 1 << 16)
                if not data:
                    raise GuestError(f"QEMU ended; waited for {mark.decode()}")
                self._console.write(data)
                self._console.flush()
                self._seen = (self._seen + data)[-(1 << 16) :]
                if failed := [failure for failure in failures if failure in self._seen]:
                    raise GuestError(f"the guest says {failed[0].decode()}; waited for {mark.decode()}")

    def command(self, execute: str, **arguments: Any) -> Any:
        """A command of QMP and its answer. Raises GuestError if it is refused."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._monitor))
            stream = connection.makefile("rw")
            json.loads(stream.readline())
            for request in ({"execute": "qmp_capabilities"}, {"execute": execute, "arguments": arguments}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                if "error" in answer:
                    raise GuestError(f"{execute}: {answer['error']['desc']}")
            return answer["return"]
