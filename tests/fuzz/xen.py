# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that read a Xen host: its notes, frame table and domains, domain 0's list of page frames, the console."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from factory import MIB, Anon, Cache, Free, Ram, Spec, build, place
from factory.xen import ALLOCATED, PageInfo, XenHost, XenSpec
from fuzz.changed import changing
from fuzz.reading import expect_same, folder
from mdf.capture import Options
from mdf.core.dumps import open_dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Messages
from mdf.xen.console import read_console
from mdf.xen.dom0 import open_dom0
from mdf.xen.hypervisor import Hypervisor
from mdf.xen.options import XenOptions
from mdf.xen.run import dump_host
from mdf.xen.sources import required_info

_VERSIONS = {"3": (3, 4), "4": (4, 20)}


@cache
def _host(version: tuple[int, int]) -> XenHost:
    ram = (Ram(0x1000, 0x9F000), Ram(2 * MIB, 6 * MIB))
    linux = build(Spec(ram=ram, pages=(place(600, Cache()), place(610, Anon()), place(640, Free(order=6)))))
    pages = {0xC05: PageInfo(ALLOCATED | 1, "dom0")}
    return XenHost(XenSpec(version=version, dom0=linux, dom0_blocks=(20, 9, 15), dom0_note=True, pages=pages))


def _dump(path: Path, choice: int) -> None:
    level, others, dry_run = (31, 0, 1, 16)[choice % 4], choice & 4 == 0, choice & 0xF8 != 0
    with folder() as outputs:
        made = outputs / "dump"
        asked = Options(path, made, dump_levels=(level,), dry_run=dry_run, num_threads=0)
        dump_host(XenOptions(asked, exclude_user_domains=others))
        if not dry_run:
            with open_dump(path) as source, open_dump(made) as dump:
                expect_same(source, dump)


def _dom0(path: Path, _: int) -> None:
    with open_dump(path) as dump:
        open_dom0(dump, Messages(0), None)


def _console(version: tuple[int, int], path: Path, _: int) -> None:
    known = _host(version).symbols
    names = ("conring", "conring_size", "conringp")
    symbols = Vmcoreinfo({f"SYMBOL({name})": f"{known[name]:x}" for name in names})
    with open_dump(path) as dump:
        info = required_info(XenOptions(Options(path)), dump)
        read_console(Hypervisor(dump, info), symbols)


def _write(version: tuple[int, int], path: Path) -> None:
    _host(version).elf(path)


XEN = tuple(
    changing(f"xen-{number}-{name}", partial(_write, version), parse)
    for number, version in _VERSIONS.items()
    for name, parse in (("dump", _dump), ("dom0", _dom0), ("console", partial(_console, version)))
)
