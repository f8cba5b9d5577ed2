# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest from its packages to its vmcore: boot, fill memory, bring the files back, dump."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from guests.core import dump
from guests.initramfs import initramfs
from guests.machines import GUESTS
from guests.parts import guests_cache, parts
from guests.qemu import GuestError, Machine

INSIDE = Path(__file__).parent / "inside"
DISK_SIZE = 256 << 20


@dataclass(frozen=True)
class Result:
    """What a guest left: its vmcore, and the folder of the files it wrote about itself just before."""

    name: str
    vmcore: Path
    files: Path


def run(name: str) -> Result:
    """Runs a guest; a second time if the first one fails. Raises GuestError."""
    try:
        return _run(name)
    except GuestError as error:
        print(f"{name}: {error}; once more", flush=True)
        return _run(name)


def _run(name: str) -> Result:
    guest = GUESTS[name]
    found = parts(name, guest)
    folder = guests_cache() / f"{name}-run"
    shutil.rmtree(folder, ignore_errors=True)
    files = folder / "files"
    files.mkdir(parents=True)
    inside = {"init": (INSIDE / "init").read_bytes(), "workload.py": (INSIDE / "workload.py").read_bytes()}
    initrd, disk, vmcore = folder / "initrd", folder / "disk", folder / "vmcore"
    initrd.write_bytes(initramfs(found.root, found.modules, guest.modules, inside))
    with disk.open("wb") as file:
        file.truncate(DISK_SIZE)
    with Machine(guest, folder, found.vmlinuz, initrd, disk) as machine:
        machine.wait_for(b"GUEST-READY")
        machine.command("stop")
        with tarfile.open(disk) as archive:
            archive.extractall(files, filter="data")
        dump(machine, guest, files, vmcore)
    return Result(name, vmcore, files)
