# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets whose input is a file as it is, or a piece of one."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from debuginfo import Array, Dwarf, Elf, Enum, Int, Pointer, Struct, Type, Typedef, Variable, btf
from factory import ElfStyle, KdumpStyle, Model, Ram, Spec, Vmcore, build, flatten
from fuzz.target import Target, as_file
from mdf import rearrange
from mdf.capture.check import State, check_dump
from mdf.capture.layout import page_layout
from mdf.core.bitmap import Place
from mdf.core.commandline import parse
from mdf.core.debuginfo.btf import read_btf
from mdf.core.debuginfo.find import find
from mdf.core.debuginfo.types import Wanted
from mdf.core.dumps import Dump, open_dump
from mdf.core.dumps.codecs import CODECS, PageDecoder
from mdf.core.dumps.dump import NoteSegment
from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.source import Source
from mdf.core.errors import AddressError, FormatError, MissingCodecError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release
from mdf.core.rules import check

_PAGES = 64


@cache
def core() -> Vmcore:
    """A machine as small as can be: its dumps are some kilobytes."""
    ram = (Ram(0x200000, 0x280000),)
    return build(Spec(arch="linear", ram=ram, model=Model.FLATMEM, image_leaf="4K"))


def _file(write: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file")
        write(path)
        return path.read_bytes()


def _read(dump: Dump) -> None:
    present = dump.present(dump.max_mapnr, Place(), partial_tail=True)
    stored = dump.stored(present)
    buffer = memoryview(bytearray(dump.page_size))
    for count, (start, _) in enumerate(stored.runs()):
        if count == _PAGES:
            return
        try:
            dump.read_pages(start, start + 1, buffer)
            dump.read(start * dump.page_size + 1, 16)
        except (AddressError, FormatError):
            continue


def _dump(data: bytes) -> None:
    with as_file(data) as path, open_dump(path) as dump:
        _read(dump)


def _split(data: bytes) -> None:
    """Two files: the first two bytes say where the second one begins."""
    at = 2 + int.from_bytes(data[:2], "little")
    with as_file(data[2:at]) as one, as_file(data[at:]) as other, open_dump(one, other) as dump:
        _read(dump)


def _checked(data: bytes) -> None:
    with as_file(data) as path:
        verdict = check_dump([path])
        if verdict.state is State.SOUND:
            with open_dump(path) as dump:
                _read(dump)


def _flattened(data: bytes) -> None:
    """What is read in place is what rearranging makes."""
    with as_file(data) as path, TemporaryDirectory() as folder:
        target = Path(folder, "dump")
        source = os.open(path, os.O_RDONLY)
        try:
            rearrange.rearrange(source, str(target))
        except (rearrange.RearrangeError, OSError):
            assert not target.exists()
        finally:
            os.close(source)
        raw = Source(path)
        try:
            stream = FlattenedSource(raw)
            if target.exists() and stream.size <= 1 << 20:
                assert stream.read_upto(0, stream.size) == target.read_bytes()
        finally:
            raw.close()


def _vmcoreinfo(data: bytes) -> None:
    info = Vmcoreinfo.parse(data)
    readers = {"SIZE": info.size, "LENGTH": info.length}
    for key in list(info.values)[:64]:
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


_WANTED = Wanted(frozenset({"page", "page_t"}), frozenset({"PG_lru"}), frozenset({"pages"}), frozenset({"page_t"}))


def _btf(data: bytes) -> None:
    read_btf(data, _WANTED)


def _vmlinux(data: bytes) -> None:
    with as_file(data) as path:
        find(path)


def _types() -> Sequence[Type]:
    word, link = Int("long unsigned int", 8), Pointer("", 8)
    pair = Struct("list_head", 16, members=(("next", link, 0), ("prev", link, 8)))
    page = Struct("page", 64, members=(("flags", word, 0), ("lru", pair, 8), ("_mapcount", Int("int", 4), 48)))
    numbers = Enum("pageflags", 4, values={"PG_lru": 5, "PG_slab": 7})
    return (page, Typedef("page_t", to=page), Variable("pages", to=Array("", to=page, length=4)), numbers)


def _kernels() -> Sequence[bytes]:
    symbols = {"_stext": (0xFFFFFFFF_81000000, 0), "mem_section": (0xFFFFFFFF_82000040, 16)}
    dwarf = Dwarf({"mm/page.c": _types()}).sections()
    return [Elf(sections, symbols).build() for sections in (dwarf, {".BTF": btf(_types())})]


def _options() -> Sequence[bytes]:
    lines = (
        "-c -d 31 vmcore dump",
        "-Fl -d1,3 vmcore",
        "--split --splitblock-size 1 a b c",
        "--vtop ff -x v a b",
        "-g a -x b",
    )
    return [line.replace(" ", "\x00").encode() for line in lines]


def _dumps() -> Sequence[bytes]:
    elf = [_file(partial(core().elf, style=style)) for style in (ElfStyle(), ElfStyle(qemu=True))]
    return [*map(_cut, elf), _kdump(KdumpStyle(zlib=True, level=1)), _kdump(KdumpStyle(version=4))]


def _cut(elf: bytes) -> bytes:
    """The same with two pages of data in its only PT_LOAD, at the end of the file."""
    size, memory = 0x2000, 0x80000
    at = elf.index(struct.pack("<QQ", memory, memory))
    return elf[:at] + struct.pack("<Q", size) + elf[at + 8 : len(elf) - memory + size]


def _kdump(style: KdumpStyle) -> bytes:
    style = replace(style, excluded=range(0x204, 0x280))
    return _file(lambda path: core().kdump(path, style))


def _streams() -> Sequence[bytes]:
    with as_file(_kdump(KdumpStyle(zlib=True, level=1))) as path:
        return [flatten(path)]


def _sets() -> Sequence[bytes]:
    ranges = (0, 0x202), (0x202, core().max_mapnr)
    one, other = (_kdump(KdumpStyle(zlib=True, level=1, split=split)) for split in ranges)
    return [len(one).to_bytes(2, "little") + one + other]


FORMATS = (
    Target("dump", _dump, _dumps),
    Target("check", _checked, _dumps),
    Target("split", _split, _sets),
    Target("flattened", _flattened, _streams),
    Target("notes", lambda data: NoteSegment.parse(data, "little"), lambda: [core().notes()]),
    Target("vmcoreinfo", _vmcoreinfo, lambda: [core().vmcoreinfo.encode()]),
    Target("codecs", _codecs, lambda: [zlib.compress(bytes(4096), 1), zlib.compress(bytes(range(256)) * 16, 1)]),
    Target("btf", _btf, lambda: [btf(_types())]),
    Target("vmlinux", _vmlinux, _kernels),
    Target("options", _command_line, _options),
)
