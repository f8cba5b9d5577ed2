# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest is made of, fetched once: its kernel, the kernel's modules, and the programs of its initramfs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from guests.debian import apt_for, unpack
from guests.machines import Guest

# What the kernels' packages want on a real system is not needed here.
KERNEL_PACKAGES = ("linux-image", "linux-modules", "linux-binary", "linux-base-")
PROGRAMS = ("busybox-static", "python3-minimal", "libpython3-stdlib")
_LEFT_OUT = ("usr/share", "usr/lib/debug", "boot", "var", "etc")
_MODULE_FOLDERS = ("usr/lib/modules", "lib/modules")


def guests_cache() -> Path:
    """Where all that is fetched or made stays: MDF_GUESTS_CACHE, else a folder of the user's caches."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MDF_GUESTS_CACHE") or Path(caches, "makedumpfile-guests"))


@dataclass(frozen=True)
class Parts:
    """`vmlinuz`, the folder of the modules of that `release`, and the folder `root` with programs."""

    vmlinuz: Path
    modules: Path
    root: Path

    @property
    def release(self) -> str:
        """The kernel's name of itself."""
        return self.modules.name


def parts(name: str, guest: Guest) -> Parts:
    """The parts of a guest; fetched if they are not there. Raises RuntimeError if Debian doesn't give them."""
    folder = guests_cache() / name
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        apt = apt_for(guest, folder / "apt")
        unpack(apt.download_all(*PROGRAMS), folder / "root")
        kernel_files = (file for file in apt.download_all(guest.kernel) if file.name.startswith(KERNEL_PACKAGES))
        unpack(kernel_files, folder / "kernel")
        for unwanted in _LEFT_OUT:
            shutil.rmtree(folder / "root" / unwanted, ignore_errors=True)
        shutil.rmtree(folder / "apt")
        (folder / "done").touch()
    kernel = folder / "kernel"
    (vmlinuz,) = (*kernel.glob("boot/vmlinu[xz]-*"), *kernel.glob("usr/lib/modules/*/vmlinu[xz]"))[:1]
    (modules,) = (module for place in _MODULE_FOLDERS for module in kernel.glob(f"{place}/*"))
    return Parts(vmlinuz, modules, folder / "root")
