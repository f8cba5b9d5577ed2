# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests, as data: whose kernel, on which machine, and how its memory comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Guest:
    """A kernel of Debian's and the machine that runs it.

    `suite` and `architecture` are Debian's words, `kernel` is a package. `qemu` is the command line but for kernel,
    initrd, disk and connections; `disk` the device that is the results' disk. `modules` are loaded in that order, with
    what they need. `can_dump` is whether QEMU has dump-guest-memory for the machine; else memory is saved piece by
    piece and gets an ELF header here, with the numbers of `elf`: word size in bits and e_machine.
    """

    suite: str
    architecture: str
    kernel: str
    qemu: tuple[str, ...]
    console: str
    disk: str
    modules: tuple[str, ...]
    can_dump: bool = True
    elf: tuple[int, int] = (64, 0)
    append: str = ""


_PC = ("-machine", "pc", "-m", "1024", "-smp", "2", "-device", "vmcoreinfo")
_PCI = ("virtio_pci", "virtio_blk", "ext4", "virtio_balloon", "qemu_fw_cfg")
_ARM = ("qemu-system-arm", "-machine", "virt,highmem=off", "-cpu", "cortex-a15", "-m", "1024", "-smp", "2")
_MMIO = ("virtio_mmio", "virtio_blk", "ext4")

_I386_PAE = Guest(
    suite="bookworm",
    architecture="i386",
    kernel="linux-image-686-pae",
    qemu=("qemu-system-i386", *_PC, "-cpu", "max,cx16=off"),
    console="ttyS0",
    disk="virtio-blk-pci",
    modules=_PCI,
)
_ARMHF = Guest(
    suite="trixie",
    architecture="armhf",
    kernel="linux-image-armmp",
    qemu=_ARM,
    console="ttyAMA0",
    disk="virtio-blk-device",
    modules=_MMIO,
)

GUESTS: Mapping[str, Guest] = {
    "i386-pae": _I386_PAE,
    "i386": replace(_I386_PAE, kernel="linux-image-686", qemu=("qemu-system-i386", *_PC, "-cpu", "pentium3")),
    "armhf": _ARMHF,
    "armhf-lpae": replace(_ARMHF, kernel="linux-image-armmp-lpae"),
}
