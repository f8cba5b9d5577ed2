# SPDX-License-Identifier: GPL-2.0-or-later
"""The machines whose memory is changed: every form of page tables, every memory model, every kind of log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

from factory import (
    MIB,
    Anon,
    Cache,
    Content,
    Free,
    Lookup,
    Model,
    Ram,
    Spec,
    Vmcore,
    build,
    place,
    random_layout,
)
from factory.accounts import put_accounts
from factory.printk import LocklessRing, Message, PlainRing, StructuredLog

_RAM = (Ram(1 * MIB, 8 * MIB),)


def _form(arch: str, page_shift: int = 12, start: int = 0, **options: Any) -> Spec:
    ram = (Ram(start, start + MIB), Ram(start + 2 * MIB, start + 5 * MIB))
    return Spec(arch=arch, page_shift=page_shift, ram=ram, model=Model.FLATMEM, kernel_start=start, **options)


TABLES = {
    "x86_64": Spec(ram=_RAM, vmemmap="4K"),
    "x86_64-5-levels": Spec(ram=_RAM, vmemmap="4K", levels=5),
    "i386": _form("i386", bits=32),
    "i386-pae": _form("i386-pae", bits=32),
    "arm": _form("arm", start=0x40000000, bits=32),
    "arm-lpae": _form("arm-lpae", start=0x40000000, bits=32, byteorder="big"),
    "arm64": _form("arm64-48"),
    "arm64-64k": _form("arm64-52", 16),
    "riscv64": _form("riscv64-57"),
    "s390x": _form("s390x-5", byteorder="big"),
    "ppc": _form("ppc-book-e", bits=32, byteorder="big"),
    "ppc64-radix": _form("ppc64-radix", 16),
    "ppc64-hash": _form("ppc64-hash", 16, byteorder="big"),
    "loongarch64": _form("loongarch64", 14),
    "mips64": _form("mips64", 14),
    "sparc64": _form("sparc64", 13, byteorder="big"),
    "ia64": _form("ia64", 14, release="3.10.0"),
}

MODELS = {
    "flatmem": Spec(ram=_RAM, model=Model.FLATMEM),
    "discontigmem": Spec(
        release="2.6.32", ram=(Ram(1 * MIB, 4 * MIB), Ram(5 * MIB, 8 * MIB)), model=Model.DISCONTIGMEM
    ),
    "sparsemem": Spec(release="2.6.32", ram=_RAM, model=Model.SPARSEMEM, lookup=Lookup.NODE_DATA, vmemmap=None),
    "sparsemem-extreme": Spec(ram=_RAM, vmemmap="4K"),
}

# With little memory, as all of it is copied.
COPIED = Spec(ram=(Ram(1 * MIB, 3 * MIB),), model=Model.FLATMEM, image_leaf="4K", kernel_start=MIB)
CHECKED = Spec(
    release="6.16.0",
    ram=(Ram(0x1000, 0x3000), Ram(2 * MIB, 3 * MIB)),
    model=Model.FLATMEM,
    image_leaf="4K",
    pages=(place(0x290, Cache()), place(0x298, Anon()), place(0x280, Free(order=4)), place(0x2A0, Free(order=5))),
    default_content=Content.TEXT,
)
FREE_LISTS = Spec(
    release="2.6.32", ram=_RAM, model=Model.SPARSEMEM, lookup=Lookup.NODE_DATA, without=("OFFSET(page.private)",)
)
LOGS = {"log-characters": "2.6.32", "log-records": "4.19.0", "log-ring": "6.1.0"}


@cache
def tables(name: str) -> Vmcore:
    """A machine of TABLES with pages of every size in its tables."""
    core = build(TABLES[name])
    form, formed = core.spec.form, core.machine.formed
    if form and formed:
        at = form.vmalloc
        for shift in sorted(form.leaves) * 2:
            at = -(-at // (1 << shift)) << shift
            with suppress(ValueError, KeyError):  # There may be something already.
                formed.map(at, 1 << shift, 1 << shift, shift)
            at += 1 << shift
    return core


@cache
def addresses(name: str) -> Sequence[int]:
    """Virtual addresses to look up in a machine of TABLES."""
    core = tables(name)
    form, virt = core.spec.form, core.machine.virt
    found = [*core.symbols.values(), *(piece.address for piece in core.pieces)]
    found += [virt(pfn * core.page_size) for pfn in core.ram_pfns[:: len(core.ram_pfns) // 4]]
    shifts = sorted({*form.shifts, *form.leaves}) if form else ()
    found += [form.vmalloc + (number << shift) for shift in shifts for number in range(3)] if form else []
    found += [] if form else [virt(1 << shift) for shift in range(12, 48)]
    return sorted({address & (1 << core.bits) - 1 for address in found})


def populated(spec: Spec) -> Vmcore:
    """The machine with pages of every kind."""
    return build(random_layout(spec, seed=1))


def accounted() -> Vmcore:
    """A machine with the kernel's own counters, symbols and types in its memory."""
    return put_accounts(populated(replace(TABLES["x86_64"], release="6.12.0")))


def logged(name: str) -> Vmcore:
    """A machine of LOGS with messages in its log."""
    spec = replace(TABLES["x86_64"], release=LOGS[name])
    if name == "log-characters":
        plain = PlainRing(spec, 1 << 12)
        plain.append(b"<6>[    0.000000] Linux\n" * 64)
        return plain.put_into(build(spec))
    ring = LocklessRing(spec, count_bits=5, size_bits=11) if name == "log-ring" else StructuredLog(spec, 1 << 12)
    for number in range(40):
        ring.append(Message(b"message %d" % number, ts_nsec=number * 1_000_000))
    return ring.put_into(build(spec))
