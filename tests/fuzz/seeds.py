# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound inputs: small files that the factory makes, and pieces of real vmcores, where those are."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest

from corpus import corpus_items, vmcore
from debuginfo import Array, Enum, Int, Pointer, Struct, Type, Typedef, Variable
from factory import ElfStyle, KdumpStyle, Model, Ram, Spec, Vmcore, build, flatten
from fuzz.target import as_file
from kernels import Form, vmlinux_of
from mdf.capture import Options, capture
from mdf.capture.options import Compression
from mdf.core.dumps import ElfDump, KdumpFile, open_dump
from mdf.core.errors import MissingCodecError

SPLIT_AT = 0x202


def small(**changes: Any) -> Vmcore:
    """A machine as small as can be: its dumps are some kilobytes."""
    spec = Spec(arch="linear", ram=(Ram(0x200000, 0x280000),), model=Model.FLATMEM, image_leaf="4K")
    return build(replace(spec, **changes))


@cache
def real() -> tuple[str, ...]:
    """The names of the real vmcores that are here."""
    try:
        return corpus_items()
    except pytest.skip.Exception:
        return ()


@cache
def _notes_of(item: str) -> tuple[bytes, bytes]:
    """The notes of a real vmcore, and its VMCOREINFO."""
    try:
        with open_dump(vmcore(item)) as dump:
            return dump.notes.data, dump.notes.vmcoreinfo or b""
    except pytest.skip.Exception:
        return b"", b""


def notes() -> Sequence[bytes]:
    """Note segments in little endian."""
    return [small().notes(), *filter(None, (_notes_of(item)[0] for item in real()))]


def vmcoreinfo() -> Sequence[bytes]:
    """Texts of VMCOREINFO."""
    return [small().vmcoreinfo.encode(), *filter(None, (_notes_of(item)[1] for item in real()))]


def _file(write: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "file")
        write(path)
        return path.read_bytes()


def elf_files() -> Sequence[bytes]:
    """ELF dumps with two pages of data; the headers of real ones, with data that are cut."""
    made = [_file(partial(small().elf, style=style)) for style in (ElfStyle(), ElfStyle(qemu=True))]
    return [*map(_cut, made), *map(_beginning, real())]


def _cut(elf: bytes) -> bytes:
    """The same with two pages of data in its only PT_LOAD, at the end of the file."""
    size, memory = 0x2000, 0x80000
    at = elf.index(struct.pack("<QQ", memory, memory))
    return elf[:at] + struct.pack("<Q", size) + elf[at + 8 : len(elf) - memory + size]


@cache
def _beginning(item: str) -> bytes:
    """A real vmcore up to the end of its notes, whose PT_LOADs have nothing in the file."""
    with open_dump(vmcore(item)) as dump:
        assert isinstance(dump, ElfDump)
        data = bytearray(dump.source.read_upto(0, dump.note_header.offset + dump.note_header.filesz))
        order = ">" if dump.byteorder == "big" else "<"
        for load in dump.loads:
            header = struct.pack(f"{order}QQQ", load.offset, load.vaddr, load.paddr)
            at = data.find(header)
            if dump.header.bits == 64 and at >= 0:
                struct.pack_into(f"{order}Q", data, at + 24, 0)
        return bytes(data)


def kdump_files() -> Sequence[bytes]:
    """Kdump-compressed dumps of four pages."""
    return [kdump(zlib=True, level=1), kdump(version=4)]


def kdump(**style: Any) -> bytes:
    """One of them."""
    chosen = KdumpStyle(excluded=range(0x204, 0x280), **style)
    return _file(lambda path: small().kdump(path, chosen))


def streams() -> Sequence[bytes]:
    """Flattened streams of dumps."""
    with as_file(kdump(zlib=True, level=1)) as path:
        return [flatten(path)]


def split_files() -> tuple[bytes, bytes]:
    """The two files of a split dump."""
    one, other = (0, SPLIT_AT), (SPLIT_AT, small().max_mapnr)
    return kdump(zlib=True, level=1, split=one), kdump(zlib=True, level=1, split=other)


def compressed() -> Sequence[bytes]:
    """Pages as each codec that is here compresses them."""
    found = []
    with TemporaryDirectory() as folder:
        source, made = small().elf(Path(folder, "vmcore")), Path(folder, "dump")
        for codec in get_args(Compression):
            try:
                capture(Options(source, made, compression=codec, force=True, num_threads=0))
            except MissingCodecError:
                continue
            with open_dump(made) as dump:
                assert isinstance(dump, KdumpFile)
                start, end = next(dump.pages.stored.runs())
                found += [page.data for page in dump.pages.pages(start, end) if page.flags][:4]
    return found


def types() -> Sequence[Type]:
    """What debug information says of two structures, a variable and an enumeration."""
    word, link = Int("long unsigned int", 8), Pointer("", 8)
    pair = Struct("list_head", 16, members=(("next", link, 0), ("prev", link, 8)))
    page = Struct("page", 64, members=(("flags", word, 0), ("lru", pair, 8), ("_mapcount", Int("int", 4), 48)))
    numbers = Enum("pageflags", 4, values={"PG_lru": 5, "PG_slab": 7})
    return (page, Typedef("page_t", to=page), Variable("pages", to=Array("", to=page, length=4)), numbers)


def vmlinux(form: Form) -> bytes:
    """The file of a kernel with debug information of that form."""
    core = build(Spec())
    return _file(lambda path: vmlinux_of(core, path, form))


def command_lines() -> Sequence[bytes]:
    """Arguments of makedumpfile, each with a zero behind it."""
    lines = (
        "-c -d 31 vmcore dump",
        "-Fl -d1,3 vmcore",
        "--split --splitblock-size 1 a b c",
        "--vtop ff -x v a b",
        "-g a -x b",
        "-X --xen-syms a --xen_phys_start 1000 b c",
        "--check-dump --json a b",
        "-L 1000 --cyclic-buffer 8 --num-threads 3 a b",
    )
    return [line.replace(" ", "\x00").encode() for line in lines]
