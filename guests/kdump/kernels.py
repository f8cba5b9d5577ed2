# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels that crash, as data."""

from __future__ import annotations

from collections.abc import Mapping

from guests.machines import Guest

MEMORY = "640"  # MiB


def _x86_64(suite: str, kernel: str) -> Guest:
    # The translator of QEMU 7.2 now and then garbles flags after CMPXCHG16B; with la57 it is slower.
    cpu = "max,la57=off,cx16=off"
    return Guest(
        suite=suite,
        architecture="amd64",
        kernel=kernel,
        qemu=("qemu-system-x86_64", "-machine", "pc", "-m", MEMORY, "-smp", "2", "-cpu", cpu, "-device", "vmcoreinfo"),
        console="ttyS0",
        disk="virtio-blk-pci",
        modules=("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "virtio_net", "qemu_fw_cfg"),
    )


KERNELS: Mapping[str, Guest] = {
    "6.1": _x86_64("bookworm", "linux-image-amd64"),
    "6.12": _x86_64("trixie", "linux-image-amd64"),
    "newest": _x86_64("sid", "linux-image-cloud-amd64"),
}
