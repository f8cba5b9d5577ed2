# SPDX-License-Identifier: GPL-2.0-or-later
"""One crash: both initramfs are made, the kernel boots and crashes, the capture kernel runs its steps."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from guests import run
from guests.initramfs import initramfs
from guests.kdump.kernels import KERNELS
from guests.kdump.parts import REFERENCE, copy_program, payload, reference_root, tools
from guests.parts import guests_cache, parts
from guests.qemu import GuestError, Machine

INSIDE = Path(__file__).parent / "inside"
DISK = "1200M"
DONE, POWER_CUT = b"CAPTURE-DONE", b"POWER-CUT"
FAILURES = (b"KEXEC-FAILED", b"CAPTURE-FAILED")


@dataclass(frozen=True)
class Step:
    """How a step of the capture kernel ended: exit status and seconds."""

    status: int
    seconds: float


@dataclass(frozen=True)
class Captured:
    """What a capture kernel left: the files of its disk in `folder`, and how its steps ended."""

    folder: Path
    steps: Mapping[str, Step]


@dataclass(frozen=True)
class Crash:
    """A crash of the kernel called `kernel`; `steps` is the script of its capture kernel.

    `crashkernel` is the memory reserved for that; `files` are more files for its initramfs, by name, which has our
    makedumpfile if `ours`, and the reference if `reference`. The machine is switched off at the mark `until`. The disk
    has the files of the folder `root` from the beginning, and its folder `results` comes back. `machine` are more
    options of QEMU, and `append` more words of the kernel's command line: `capture_cpus=2` is for the capture kernel.
    """

    kernel: str
    steps: str
    crashkernel: str = "224M"
    files: Mapping[str, bytes] | None = None
    ours: bool = True
    reference: bool = True
    until: bytes = DONE
    root: Path | None = None
    results: str = "/"
    machine: tuple[str, ...] = ()
    append: str = ""

    def run(self, name: str) -> Captured:
        """Crashes and captures, a second time if the first one fails; the results are kept in the folder `name`.

        Raises GuestError, with `name`/console telling more; that of a first try is `name`-failed.
        """
        folder = guests_cache() / "runs" / f"{self.kernel}-{name}"
        try:
            return self._run(folder)
        except GuestError as error:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(folder / "console", f"{folder}-failed")
            print(f"{folder}: {error}; once more", flush=True)
            return self._run(folder)

    def _run(self, folder: Path) -> Captured:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        guest = KERNELS[self.kernel]
        initrd = self._initramfs(folder)
        disk = folder / "disk"
        _command("truncate", "-s", DISK, str(disk))
        _command("mkfs.ext4", "-q", "-F", *(("-d", str(self.root)) if self.root else ()), str(disk))
        guest = replace(
            guest, append=f"crashkernel={self.crashkernel} {self.append}", qemu=(*guest.qemu, *self.machine, *_NET)
        )
        with Machine(guest, folder, parts(self.kernel, guest).vmlinuz, initrd, disk) as machine:
            machine.wait_for(self.until, failures=FAILURES)
        initrd.unlink()
        _command("e2fsck", "-f", "-p", str(disk), accept=(0, 1))
        files = folder / "files"
        files.mkdir()
        _command("debugfs", "-R", f"rdump {self.results} {files}", str(disk))
        disk.unlink()
        if self.results != "/":
            files /= Path(self.results).name
        lines = (files / "steps").read_text().splitlines() if (files / "steps").exists() else []
        ended = (line.split() for line in lines)
        return Captured(files, {step: Step(int(status), float(end) - float(at)) for step, status, at, end in ended})

    def _initramfs(self, folder: Path) -> Path:
        """The initramfs of the kernel that crashes, which has that of the capture kernel in it."""
        guest = KERNELS[self.kernel]
        found, programs = parts(self.kernel, guest), tools(guest)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            root = Path(scratch)
            if self.ours:
                payload(root)
            if self.reference:
                copy_program(reference_root(guest), REFERENCE, root, "usr/bin/reference")
            if self.files:
                copy_program(programs, "usr/bin/ssh", root, "usr/bin/ssh")
            copy_program(programs, _either(programs, "bin/busybox"), root, "usr/bin/busybox")
            inside = {"init": (INSIDE / "capture").read_bytes(), "steps": self.steps.encode()} | dict(self.files or {})
            capture = initramfs(root, found.modules, guest.modules, inside)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            root = Path(scratch, "root")
            shutil.copytree(found.root, root, symlinks=True)
            copy_program(programs, _either(programs, "sbin/kexec"), root, "usr/sbin/kexec")
            inside = {
                "init": (INSIDE / "crash").read_bytes(),
                "workload.py": (run.INSIDE / "workload.py").read_bytes(),
                "vmlinuz": found.vmlinuz.read_bytes(),
                "capture.img": capture,
            }
            initrd = folder / "initrd"
            initrd.write_bytes(initramfs(root, found.modules, guest.modules, inside))
        return initrd


_NET = ("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net")


def _either(root: Path, name: str) -> str:
    """A program of Debian's, in /usr since that has all of them."""
    return f"usr/{name}" if (root / "usr" / name).exists() else name


def _command(*command: str, accept: tuple[int, ...] = (0,)) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode not in accept:
        raise GuestError(f"{' '.join(command)}: {result.stderr.strip()}")
