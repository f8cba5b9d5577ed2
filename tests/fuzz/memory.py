# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets whose input changes bytes of a machine that the factory has built.

An input is a row of changes: three bytes say where in the memory that the factory wrote (page tables, memory sections,
struct pages, logs), one what to exclusive-or with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from factory import MIB, Lookup, Model, Ram, Spec, Vmcore, build, random_layout
from factory.printk import LocklessRing, Message, PlainRing, StructuredLog
from fuzz.target import Target
from mdf.capture.options import Options
from mdf.capture.run import capture
from mdf.core.dumps import ElfDump, open_dump
from mdf.core.errors import AddressError, MdfError
from mdf.core.kernel import Kernel, mem_map
from mdf.dmesg.log import read_log

_CHANGES_MAX = 64
_RECORDS_MAX = 10_000
_RAM = (Ram(1 * MIB, 8 * MIB),)


class Machine:
    """A vmcore in memory, and the file offsets of all that the factory wrote into it."""

    def __init__(self, core: Vmcore) -> None:
        self.core = core
        self.descriptor = os.memfd_create("vmcore")
        self.path = Path(f"/proc/self/fd/{self.descriptor}")
        core.elf(self.path)
        with open_dump(self.path) as dump:
            assert isinstance(dump, ElfDump)
            ram = dump.loads[-1]
        size = core.page_size
        self._offsets = [ram.offset + pfn * size - ram.paddr for pfn in sorted(core.kernel_pfns)]

    @contextmanager
    def changed(self, data: bytes) -> Iterator[Path]:
        """The vmcore with bytes changed, for a while."""
        size = self.core.page_size
        before = []
        for at in range(0, min(len(data) // 4, _CHANGES_MAX) * 4, 4):
            where = int.from_bytes(data[at : at + 3], "little") % (len(self._offsets) * size)
            offset = self._offsets[where // size] + where % size
            [old] = os.pread(self.descriptor, 1, offset)
            os.pwrite(self.descriptor, bytes([old ^ data[at + 3]]), offset)
            before.append((old, offset))
        try:
            yield self.path
        finally:
            for old, offset in reversed(before):
                os.pwrite(self.descriptor, bytes([old]), offset)

    def target(self, name: str, parse: Callable[[Path], object]) -> Target:
        """A target that reads the changed vmcore."""

        def feed(data: bytes) -> None:
            with self.changed(data) as path:
                parse(path)

        size = len(self._offsets) * self.core.page_size
        spread = [(size * part // 97).to_bytes(3, "little") + b"\x01" for part in range(97)]
        return Target(name, feed, lambda: [b"", *spread])


def _kernel(path: Path) -> None:
    with open_dump(path) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        for name in ("init_uts_ns", "mem_section", "_stext"):
            address = dump.info.symbol(name)
            if address:
                kernel.read(address, 8192)
        for shift in range(12, 48):
            try:
                kernel.read(0xFFFF888000000000 + (1 << shift), 1)
            except AddressError:
                continue


def _memory_map(path: Path) -> None:
    with open_dump(path) as dump:
        assert dump.info is not None
        mem_map(Kernel(dump, dump.info), dump.max_mapnr)


def _filter(path: Path) -> None:
    capture(Options(path, Path("/nowhere"), dump_levels=(31,), dry_run=True))


def _log(path: Path) -> None:
    with open_dump(path) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        for partial in (False, True):
            try:
                for count, _ in enumerate(read_log(kernel, partial=partial)):
                    assert count < _RECORDS_MAX
            except MdfError:
                continue


def _logged(release: str) -> Vmcore:
    spec = Spec(release=release, ram=_RAM, vmemmap="4K")
    if release.startswith("2"):
        plain = PlainRing(spec, 1 << 12)
        plain.append(b"<6>[    0.000000] Linux\n" * 64)
        return plain.put_into(build(spec))
    ring = LocklessRing(spec, count_bits=5, size_bits=11) if release > "5.10" else StructuredLog(spec, 1 << 12)
    for number in range(40):
        ring.append(Message(b"message %d" % number, ts_nsec=number * 1_000_000))
    return ring.put_into(build(spec))


@cache
def memory_targets() -> Sequence[Target]:
    """All of them; their machines are built at the first call."""
    small = Machine(build(random_layout(Spec(ram=_RAM, vmemmap="4K"), seed=1)))
    lists = Spec(
        release="2.6.32", ram=_RAM, model=Model.SPARSEMEM, lookup=Lookup.NODE_DATA, without=("OFFSET(page.private)",)
    )
    return (
        small.target("page-tables", _kernel),
        small.target("mem-section", _memory_map),
        small.target("filter", _filter),
        Machine(build(random_layout(lists, seed=1))).target("free-lists", _filter),
        Machine(_logged("2.6.32")).target("log-plain", _log),
        Machine(_logged("4.19.0")).target("log-structured", _log),
        Machine(_logged("6.1.0")).target("log-lockless", _log),
    )
