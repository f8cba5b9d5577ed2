# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's memory, dumped by QEMU in each of its formats: the same pages in all, and filtered to the same dump.

QEMU boots a kernel in emulation, so that any machine will do; that takes about ten seconds.
"""

from __future__ import annotations

import filecmp
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from guests.initramfs import Archive, modules_with_needs
from guests.machines import Guest
from guests.qemu import Machine

from judges import fetch, programs
from judges.programs import Makedumpfile
from mdf.core.dumps import ElfDump, KdumpFile, open_dump

GUEST = Guest(
    suite="bookworm",
    architecture="amd64",
    kernel=fetch.GUEST_KERNEL,
    qemu=(
        *("qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "max,la57=off,cx16=off"),
        *("-m", "256", "-device", "vmcoreinfo"),
    ),
    console="ttyS0",
    disk="virtio-blk-pci",
    modules=("qemu_fw_cfg",),
)
INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox insmod /qemu_fw_cfg.ko
echo GUEST-READY >/dev/console
while :; do /bin/busybox sleep 1000; done
"""
BOOT_LIMIT = 120  # seconds


def initrd(modules: Path, busybox: str) -> bytes:
    """Enough to let QEMU know the guest's VMCOREINFO."""
    archive = Archive()
    for folder in ("proc", "sys"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, Path(busybox).read_bytes())
    archive.add("init", stat.S_IFREG | 0o755, INIT)
    for name, data in modules_with_needs(modules, GUEST.modules):
        archive.add(f"{name}.ko", stat.S_IFREG | 0o644, data)
    return archive.compressed()


@pytest.fixture(scope="session")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """QEMU's dumps of one stopped guest, by format."""
    (qemu,), (busybox,) = programs.found("qemu-system-x86_64", "installed"), programs.found("busybox", "installed")
    kernel = fetch.guest_kernel() or programs.skip("the guest's kernel was not fetched", programs.FETCH)
    (vmlinuz,), (modules,) = kernel.glob("boot/vmlinuz-*"), kernel.glob("lib/modules/*")
    folder = tmp_path_factory.mktemp("guest")
    (folder / "initrd").write_bytes(initrd(modules, busybox))
    (folder / "disk").write_bytes(bytes(1 << 20))
    made = {}
    with Machine(GUEST, folder, vmlinuz, folder / "initrd", folder / "disk") as machine:
        machine.wait_for(b"GUEST-READY", BOOT_LIMIT)
        machine.command("stop")
        for name in machine.command("query-dump-guest-memory-capability")["formats"]:
            if name == "elf" or name.startswith("kdump-"):
                made[name] = folder / name
                machine.command("dump-guest-memory", paging=False, protocol=f"file:{made[name]}", format=name)
    assert {"elf", "kdump-zlib"} <= set(made), qemu
    yield made
    shutil.rmtree(folder)


def compressed(dumps: dict[str, Path]) -> list[Path]:
    return [path for name, path in dumps.items() if name != "elf"]


def test_every_page_is_that_of_the_elf_dump(dumps: dict[str, Path]) -> None:
    with open_dump(dumps["elf"]) as elf:
        assert isinstance(elf, ElfDump)
        wanted = {pfn for start, end in elf.segment_pages() for pfn in range(start, end)}
        for path in compressed(dumps):
            with open_dump(path) as dump:
                assert isinstance(dump, KdumpFile)
                found = {pfn for start, end in dump.runs() for pfn in range(start, end)}
                assert found == wanted
                assert all(dump.read(pfn << 12, 4096) == elf.read(pfn << 12, 4096) for pfn in found)


@pytest.mark.parametrize("options", [("-d31",), ("-d1",)], ids=" ".join)
def test_filtering_gives_the_dump_that_the_elf_dump_gives(
    dumps: dict[str, Path], ours: Makedumpfile, options: tuple[str, ...]
) -> None:
    wanted = ours.dump(dumps["elf"], *options)
    for path in compressed(dumps):
        assert filecmp.cmp(ours.dump(path, *options), wanted, shallow=False), path.name


def test_the_log_is_found_in_the_stream(dumps: dict[str, Path], ours: Makedumpfile) -> None:
    log = ours.dmesg(dumps["elf"])
    assert b"Linux version" in log
    assert all(ours.dmesg(path) == log for path in compressed(dumps))


def test_the_rearranged_stream_is_the_references_and_gives_the_same_dump(
    dumps: dict[str, Path], ours: Makedumpfile, reference: Makedumpfile
) -> None:
    for path in compressed(dumps):
        if path.read_bytes()[:12] == b"makedumpfile":
            dump = ours.rearranged(path)
            assert filecmp.cmp(dump, reference.rearranged(path), shallow=False)
            assert filecmp.cmp(ours.dump(dump, "-c", "-d31"), ours.dump(path, "-c", "-d31"), shallow=False)
