# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets whose input is a file as it is, or a piece of one."""

from __future__ import annotations

from collections.abc import Sequence

from debuginfo import btf
from fuzz import seeds
from fuzz.reading import read_some, rearranged
from fuzz.target import Target, as_file
from mdf.capture.layout import page_layout
from mdf.core.commandline import parse
from mdf.core.debuginfo.btf import read_btf
from mdf.core.debuginfo.find import find
from mdf.core.debuginfo.wanted import Wanted
from mdf.core.dumps import open_dump
from mdf.core.dumps.codecs import CODECS, PageDecoder
from mdf.core.dumps.dump import NoteSegment
from mdf.core.errors import FormatError, MissingCodecError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release
from mdf.core.rules import check
from mdf.vmcoreinfo.text import vmcoreinfo_text

_WANTED = Wanted(frozenset({"page", "page_t"}), frozenset({"PG_lru"}), frozenset({"pages"}), frozenset({"page_t"}))
_KEYS_MAX = 64


def _dump(data: bytes) -> None:
    with as_file(data) as path, open_dump(path) as dump:
        read_some(dump)


def _split(data: bytes) -> None:
    """Two files: the first two bytes say where the second one begins."""
    at = 2 + int.from_bytes(data[:2], "little")
    with as_file(data[2:at]) as one, as_file(data[at:]) as other, open_dump(one, other) as dump:
        read_some(dump)


def _sets() -> Sequence[bytes]:
    one, other = seeds.split_files()
    return [len(one).to_bytes(2, "little") + one + other]


def _flattened(data: bytes) -> None:
    with as_file(data) as path:
        rearranged(path, keep_partial=len(data) % 2 == 1)


def _vmcoreinfo(data: bytes) -> None:
    info = Vmcoreinfo.parse(data)
    readers = {"SIZE": info.size, "LENGTH": info.length}
    for key in list(info.values)[:_KEYS_MAX]:
        kind, _, rest = key.partition("(")
        name = rest.rstrip(")")
        if kind == "NUMBER":
            info.number(name)
        elif kind == "SYMBOL":
            info.symbol(name)
        elif kind in readers:
            readers[kind](name)
    page_layout(info, Release.parse(info.osrelease), "little", 8)
    _ = info.page_size, info.crashtime


def _codecs(data: bytes) -> None:
    for codec in CODECS:
        try:
            codec.decompressor()
        except MissingCodecError:
            continue
        try:
            assert len(PageDecoder(4096).decode(data, int(codec.flag), 1)) == 4096
        except FormatError:
            continue


def _command_line(data: bytes) -> None:
    words = [word.decode("utf-8", "replace") for word in data.split(b"\x00")]
    check(parse(words))


def _btf(data: bytes) -> None:
    read_btf(data, _WANTED)


def _vmlinux(data: bytes) -> None:
    """What is written of a kernel's file can be read."""
    with as_file(data) as path:
        Vmcoreinfo.parse(vmcoreinfo_text(find(path)).encode())


FORMATS = (
    Target("elf", _dump, seeds.elf_files),
    Target("diskdump", _dump, seeds.kdump_files),
    Target("split-set", _split, _sets),
    Target("flattened", _flattened, seeds.streams),
    Target("notes", lambda data: NoteSegment.parse(data, "little"), seeds.notes),
    Target("vmcoreinfo", _vmcoreinfo, seeds.vmcoreinfo),
    Target("codecs", _codecs, seeds.compressed, 1 << 13),
    Target("btf", _btf, lambda: [btf(seeds.types())]),
    Target("vmlinux-btf", _vmlinux, lambda: [seeds.vmlinux("btf")]),
    Target("vmlinux-dwarf", _vmlinux, lambda: [seeds.vmlinux("dwarf")]),
    Target("options", _command_line, seeds.command_lines, 1 << 10),
)
