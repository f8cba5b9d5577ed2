# SPDX-License-Identifier: GPL-2.0-or-later
"""A split dump whose files are read as the one dump they are, by everything that reads dumps."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from captures import DumpFile
from factory import MIB, KdumpStyle, Ram, Spec, Vmcore, build, flatten, random_layout
from mdf.capture import Options, capture
from mdf.capture import cli as capture_command
from mdf.core.dumps import Dump, KdumpFile, open_dump
from mdf.core.errors import AddressError, FormatError, InputError
from mdf.split.options import SplitOptions
from mdf.split.run import split

BLOCK = 1024  # KiB
FILES = 3
Layout = tuple[int, Literal[32, 64], Literal["little", "big"], bool]


@pytest.fixture(scope="module")
def core() -> Vmcore:
    return build(random_layout(Spec(), seed=12))


@pytest.fixture(scope="module")
def vmcore(core: Vmcore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return core.elf(tmp_path_factory.mktemp("memory") / "vmcore")


@pytest.fixture(scope="module")
def parts(vmcore: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of a split dump of level 1, compressed; not in the order of their pages."""
    folder = tmp_path_factory.mktemp("parts")
    files = [folder / f"part{number}" for number in range(FILES)]
    split(SplitOptions(Options(vmcore, dump_levels=(1,), compression="zlib"), tuple(files), BLOCK))
    return [files[2], files[0], files[1]]


def files_of(core: Vmcore, folder: Path, cuts: list[int], **style: object) -> list[Path]:
    """The files of a split dump that another writer makes, cut at these pages."""
    edges = [0, *cuts, core.max_mapnr]
    made = []
    for number, part in enumerate(pairwise(edges)):
        made.append(core.kdump(folder / f"file{number}", KdumpStyle(**{"level": 1, **style, "split": part})))  # type: ignore[arg-type]
    return made


def memory(dump: Dump) -> dict[int, bytes]:
    """Every page that a dump holds."""
    assert isinstance(dump, KdumpFile)
    size = dump.page_size
    return {pfn: dump.read(pfn * size, size) for start, end in dump.runs() for pfn in range(start, end)}


def dumped(sources: list[Path], target: Path, *options: str) -> bytes:
    """What the command makes of a dump in several files."""
    names = [word for source in sources for word in ("--diskset", str(source))]
    assert capture_command.main(["--message-level", "4", *options, *names, str(target)]) == 0
    return target.read_bytes()


def edited(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_every_page_is_read_from_the_file_that_has_it(core: Vmcore, parts: list[Path]) -> None:
    with open_dump(*parts) as dump:
        assert memory(dump) == {pfn: core.page(pfn) for pfn in DumpFile(parts[0]).pfns}
        assert [part.source.path.name for part in dump.parts] == ["part0", "part1", "part2"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "layout",
    [
        (2, 64, "little", False),
        (4, 32, "little", False),
        (5, 32, "little", True),
        (6, 32, "big", True),
        (6, 64, "big", False),
    ],
)
def test_files_of_every_layout_and_version_are_one_dump(layout: Layout, tmp_path: Path) -> None:
    version, bits, byteorder, padded = layout
    ram = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 14 * MIB))
    core = build(Spec(release="3.10.0", arch="linear", bits=bits, byteorder=byteorder, ram=ram))
    files = files_of(core, tmp_path, [0x300, 0x300, 0x900], version=version, padded=padded)
    with open_dump(*reversed(files)) as dump:
        assert memory(dump) == {pfn: core.page(pfn) for pfn in core.ram_pfns}


def test_files_may_be_flattened_streams(core: Vmcore, tmp_path: Path) -> None:
    files = files_of(core, tmp_path, [0x300, 0x900], zlib=True)
    for path in files[1:]:
        path.write_bytes(flatten(path))
    with open_dump(*files) as dump:
        assert memory(dump) == {pfn: core.page(pfn) for pfn in core.ram_pfns}


def test_erase_information_is_that_of_all_files(core: Vmcore, tmp_path: Path) -> None:
    files = []
    for number, text in enumerate((b"erase one\n", b"", b"erase three\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        files.append(files_of(core, folder, [0x300, 0x900], eraseinfo=text)[number])
    with open_dump(*files[::-1]) as dump:
        assert dump.eraseinfo == b"erase one\nerase three\n"


@pytest.mark.parametrize("options", [("-d31",), ("-c", "-d31"), ("-d1",)], ids=" ".join)
def test_filtering_the_files_again_is_filtering_the_dump_that_was_never_split(
    options: tuple[str, ...], vmcore: Path, parts: list[Path], tmp_path: Path
) -> None:
    whole = tmp_path / "whole"
    capture(Options(vmcore, whole, dump_levels=(1,), compression="zlib"))
    assert dumped(parts, tmp_path / "of parts", *options) == dumped([whole], tmp_path / "of whole", *options)


def test_a_split_dump_is_split_again(vmcore: Path, parts: list[Path], tmp_path: Path) -> None:
    again = (tmp_path / "a", tmp_path / "b")
    split(SplitOptions(Options(parts[0], dump_levels=(31,), disk_set=tuple(parts)), again, BLOCK))
    direct = (tmp_path / "c", tmp_path / "d")
    whole = tmp_path / "whole"
    capture(Options(vmcore, whole, dump_levels=(1,), compression="zlib"))
    split(SplitOptions(Options(whole, dump_levels=(31,)), direct, BLOCK))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in direct]


def test_pages_that_incomplete_files_lack_are_missing_and_no_others(core: Vmcore, tmp_path: Path) -> None:
    files = files_of(core, tmp_path, [0x300, 0x900])
    for path in files:
        edited(path, 424, struct.pack("<I", 8))
    second = DumpFile(files[1])
    own = [pfn for pfn in second.pfns if 0x300 <= pfn < 0x900]
    descriptors = second.data_offset - 24 * len(second.pfns)
    edited(files[1], descriptors + 24 * 100, bytes(24 * (len(own) - 100)))
    with open_dump(*files) as dump:
        assert dump.incomplete
        lost = set(own[100:])
        assert memory(dump) == {pfn: core.page(pfn) for pfn in core.ram_pfns if pfn not in lost}
        with pytest.raises(AddressError, match="file1 is an incomplete dump"):
            dump.read(own[100] << 12, 1)


def one_alone(parts: list[Path], folder: Path) -> list[Path]:
    return parts[:1]


def one_missing(parts: list[Path], folder: Path) -> list[Path]:
    return parts[1:]


def one_twice(parts: list[Path], folder: Path) -> list[Path]:
    return [*parts, parts[1]]


def another_kind(parts: list[Path], folder: Path) -> list[Path]:
    (folder / "vmcore").write_bytes(b"\x7fELF" + bytes(5000))
    return [*parts, folder / "vmcore"]


def another_kind_first(parts: list[Path], folder: Path) -> list[Path]:
    return another_kind(parts, folder)[::-1]


@pytest.mark.parametrize(
    ("chosen", "line"),
    [
        (one_alone, "part2 is of a split dump, and there is no file with the pages 0x0 - 0x"),
        (one_missing, "part0 is of a split dump, and there is no file with the pages 0x"),
        (one_twice, "part0: pages 0x0 - 0x[0-9a-f]+ are in another file too"),
        (another_kind, "vmcore is not a kdump-compressed dump"),
        (another_kind_first, "vmcore is not a kdump-compressed dump"),
    ],
)
def test_files_that_are_no_whole_set_are_refused(
    chosen: Callable[[list[Path], Path], list[Path]], line: str, parts: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=line):
        open_dump(*chosen(parts, tmp_path))


def test_a_file_that_is_not_there_is_named(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        open_dump(*parts, tmp_path / "nowhere")


@pytest.mark.parametrize(("offset", "size"), [(404, 4), (8 + 4 + 65, 4)])
def test_files_of_another_time_or_host_are_foreign(offset: int, size: int, core: Vmcore, tmp_path: Path) -> None:
    files = files_of(core, tmp_path, [0x300, 0x900])
    edited(files[2], offset, b"\x31" * size)
    with pytest.raises(FormatError, match=r"file2 is not of the same dump as .*file0: their headers differ"):
        open_dump(*files)


def test_a_file_alone_says_what_to_do_and_its_name_is_never_the_output(
    parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capture_command.main([str(parts[0]), str(tmp_path / "dump")]) == 1
    line, hint = capsys.readouterr().err.splitlines()
    assert "part2 is of a split dump, and there is no file with the pages 0x0" in line
    assert hint == "Give all files of the split dump: to mdf-reassemble, or each with --diskset."
    before = parts[2].read_bytes()
    names = [f"--diskset={path}" for path in parts]
    assert capture_command.main(["-f", *names, str(parts[2])]) == 1
    assert "It is the VMCORE itself." in capsys.readouterr().err
    assert parts[2].read_bytes() == before
    assert list(tmp_path.iterdir()) == []


def test_all_files_are_closed(parts: list[Path]) -> None:
    dump = open_dump(*parts)
    assert isinstance(dump, KdumpFile)
    dump.close()
    for part in dump.parts:
        with pytest.raises(InputError):
            part.source.read(0, 1, "a byte")
