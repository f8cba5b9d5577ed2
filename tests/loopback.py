# SPDX-License-Identifier: GPL-2.0-or-later
"""An ssh server on this host, for this user and one key alone."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
TIMEOUT = 20  # seconds for the server to answer


@dataclass(frozen=True)
class Server:
    """A server on `port` that lets `user` in with the private key in the file `key`."""

    port: int
    user: str
    key: Path

    def options(self, key: str = "") -> list[str]:
        """The options of ssh for it; `key` is another place of the key."""
        words = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
        return ["-i", key or str(self.key), "-p", str(self.port), *words.split()]


def available() -> bool:
    """Whether ssh and its server are installed."""
    return all(shutil.which(program, path=PATH) for program in ("ssh", "sshd", "ssh-keygen"))


@contextlib.contextmanager
def server(folder: Path, *command: str) -> Iterator[Server]:
    """A running server with its files in `folder`; with a `command` it runs that, whatever is asked for."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "PidFile none",
    ]
    lines += [f"ForceCommand {shlex.join(command)}"] if command else []
    (folder / "config").write_text("\n".join([*lines, ""]))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    program = shutil.which("sshd", path=PATH) or "sshd"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        _wait(port, process, folder / "log")
        yield Server(port, getpass.getuser(), folder / "user")
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the ssh server does not answer: {log.read_text()}")
