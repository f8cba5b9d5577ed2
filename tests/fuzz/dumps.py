# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that read dumps, and make dumps of them: when that goes well, the pages have to be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from factory import ElfStyle, KdumpStyle, Vmcore, build
from factory.printk import put
from fuzz import machines, seeds
from fuzz.changed import changing
from fuzz.reading import expect_same, expect_unfinished, folder, read_some, rearranged
from fuzz.target import Target, as_file
from mdf.capture import Options, capture
from mdf.capture.check import State, check_dump
from mdf.capture.options import Compression
from mdf.core.dumps import open_dump
from mdf.core.errors import MdfError
from mdf.split.join import JoinOptions, reassemble
from mdf.split.options import SplitOptions
from mdf.split.run import split

_LEVELS = (31, 1, 0, 16)
_CODECS: tuple[Compression | None, ...] = ("zlib", None, "zstd", "lzo")


def _read(path: Path, _: int) -> None:
    with open_dump(path) as dump:
        read_some(dump)


def _capture(path: Path, choice: int) -> None:
    """Makes a dump of any level with any codec, in one file or two."""
    level, codec, elf = _LEVELS[choice % 4], _CODECS[choice // 4 % 4], choice // 16 % 4 == 1
    several = choice // 16 % 4 == 2
    with folder() as place:
        files = (place / "one", place / "two") if several else (place / "one",)
        options = Options(
            path, files[0], dump_levels=(level,), compression=None if elf else codec, elf=elf, num_threads=0
        )
        try:
            report = split(SplitOptions(options, files)) if several else capture(options)
        except MdfError:
            expect_unfinished(*files)
            raise
        always = report.hwpoison + report.offline
        with open_dump(path) as source, open_dump(*files) as made:
            expect_same(source, made, lost=always if level <= 1 else None)


def _join(first: bool, path: Path, _: int) -> None:
    """Joins a file with the other one of a split dump."""
    other = seeds.split_files()[first]
    with folder() as place, as_file(other) as unchanged:
        files = (path, unchanged) if first else (unchanged, path)
        joined = place / "joined"
        try:
            reassemble(JoinOptions(files, joined))
        except MdfError:
            expect_unfinished(joined)
            raise
        with open_dump(*files) as source, open_dump(joined) as made:
            expect_same(source, made, lost=0)


@cache
def _sound() -> bytes:
    """A small dump of which everything can be checked, made of pages that compress."""
    core = build(machines.CHECKED)
    put(core, core.vmcoreinfo.encode())
    with folder() as place:
        capture(
            Options(core.elf(place / "vmcore"), place / "dump", dump_levels=(27,), compression="zlib", num_threads=0)
        )
        assert not check_dump([place / "dump"]).unchecked
        return (place / "dump").read_bytes()


def _check(path: Path, _: int) -> None:
    """What is called sound has the pages that the dump had before it was changed, as far as they are compressed."""
    verdict = check_dump([path])
    if verdict.state is State.SOUND and not verdict.unchecked:
        with as_file(_sound()) as before, open_dump(before) as sound, open_dump(path) as dump:
            expect_same(sound, dump, lost=0, raw=False)


def _check_memory(path: Path, _: int) -> None:
    check_dump([path])


def _split_file(first: bool) -> bytes:
    return seeds.split_files()[not first]


def _rearrange(path: Path, choice: int) -> None:
    rearranged(path, keep_partial=choice % 2 == 1)


def _write(data: Callable[[], bytes], path: Path) -> None:
    path.write_bytes(data())


def _elf(path: Path, *, style: ElfStyle, big: bool = False) -> None:
    _machine(big).elf(path, style)


def _kdump(path: Path, *, style: KdumpStyle, big: bool = False) -> None:
    _machine(big).kdump(path, style)


def _machine(big: bool) -> Vmcore:
    return seeds.small(bits=32, byteorder="big") if big else seeds.small()


def _populated(path: Path, *, style: KdumpStyle | None = None) -> None:
    core = machines.populated(machines.COPIED)
    core.kdump(path, style) if style else core.elf(path)


def _targets() -> Iterator[Target]:
    packed = KdumpStyle(zlib=True, level=1)
    yield changing("elf-fields", partial(_elf, style=ElfStyle()), _read)
    yield changing("elf-fields-qemu", partial(_elf, style=ElfStyle(qemu=True)), _read)
    yield changing("elf-fields-32-big", partial(_elf, style=ElfStyle(), big=True), _read, "big")
    for version in (1, 3, 6):
        style = KdumpStyle(version=version, zlib=True, level=1)
        yield changing(f"diskdump-fields-{version}", partial(_kdump, style=style), _read)
    yield changing("diskdump-fields-32-big", partial(_kdump, style=packed, big=True), _read, "big")
    yield changing("capture-elf", _populated, _capture)
    yield changing("capture-diskdump", partial(_populated, style=packed), _capture)
    yield changing("capture-diskdump-plain", partial(_populated, style=KdumpStyle()), _capture)
    for first in (False, True):
        data = partial(_split_file, first)
        yield changing(f"reassemble-{'first' if first else 'second'}", partial(_write, data), partial(_join, first))
    yield changing("stream-fields", partial(_write, lambda: seeds.streams()[0]), _rearrange)
    yield changing("check", partial(_write, _sound), _check)
    yield changing("check-memory", partial(_populated, style=packed), _check_memory)


DUMPS = tuple(_targets())
