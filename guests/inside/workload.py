# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in a guest: fills its memory with pages of every type, and keeps them in processes that go on sleeping."""

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable

MIB = 1 << 20
kept: list[mmap.mmap] = []
MADV = {"MERGEABLE": 12, "HUGEPAGE": 14, "HWPOISON": 100}


def sleeping(work: Callable[[], mmap.mmap]) -> None:
    """Runs `work` in a process that sleeps afterwards, and waits until it is done."""
    ready, done = os.pipe()
    if os.fork() == 0:
        try:
            kept.append(work())
        except Exception as error:
            print(f"workload: {work.__name__}: {error}", file=sys.stderr)
        os.write(done, b".")
        while True:
            signal.pause()
    os.close(done)  # A child that dies ends the wait: newer kernels kill the one that poisons its own page.
    os.read(ready, 1)
    os.close(ready)


def anonymous() -> mmap.mmap:
    area = mmap.mmap(-1, 24 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[: 8 * MIB] = b"text in a page of a process; " * (8 * MIB // 29) + bytes(8 * MIB % 29)
    area[8 * MIB : 16 * MIB] = os.urandom(8 * MIB)
    area[16 * MIB :] = bytes(8 * MIB)  # written: pages of zeros
    return area


def shared() -> mmap.mmap:
    area = mmap.mmap(-1, 4 * MIB)
    area[:] = b"S" * (4 * MIB)
    return area


def advised(advice: str, size: int, letter: bytes) -> mmap.mmap:
    area = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError, AttributeError):
        area.madvise(MADV[advice])
    area[:] = letter * size
    return area


def huge() -> mmap.mmap:
    return advised("HUGEPAGE", 16 * MIB, b"H")


def same() -> mmap.mmap:
    return advised("MERGEABLE", 4 * MIB, b"K")


def locked() -> mmap.mmap:
    area = mmap.mmap(-1, 2 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[:] = b"L" * (2 * MIB)
    libc = ctypes.CDLL(None)
    libc.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(area))), ctypes.c_size_t(2 * MIB))
    return area


def hugetlb() -> mmap.mmap:
    area = mmap.mmap(-1, 8 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
    area[:] = b"T" * (8 * MIB)
    return area


def files() -> None:
    os.makedirs("/tmp/slab", exist_ok=True)
    for number in range(2000):
        with open(f"/tmp/slab/{number}", "w") as file:
            file.write("x")
    with open("/tmp/large", "wb") as file:
        file.write(b"tmpfs" * MIB)
        file.truncate(12 * MIB)


def log() -> None:
    with open("/dev/kmsg", "wb", buffering=0) as kmsg:
        for line in (
            b"one\ntwo lines",
            "h\u00e4h \u20ac".encode(),
            b"raw \xff\xfe bytes",
            b"esc \\ \x1b[1m",
            b"long " * 150,
            b" ",
        ):
            with contextlib.suppress(OSError):
                kmsg.write(b"<6>workload: " + line)


def setting(path: str, value: str) -> None:
    with contextlib.suppress(OSError), open(path, "w") as file:
        file.write(value)


def poison() -> mmap.mmap:
    """One page is poisoned; the process that touches it again dies."""
    area = mmap.mmap(-1, 64 << 10, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area[:] = b"P" * (64 << 10)
    signal.signal(signal.SIGBUS, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        area.madvise(MADV["HWPOISON"], 0, mmap.PAGESIZE)
    return area


setting("/sys/kernel/mm/ksm/pages_to_scan", "10000")
setting("/sys/kernel/mm/ksm/run", "1")
setting("/sys/kernel/mm/transparent_hugepage/enabled", "madvise")
setting("/proc/sys/vm/nr_hugepages", "6")
for work in (anonymous, shared, huge, same, locked, hugetlb, poison):
    sleeping(work)
files()
log()
time.sleep(3)
