# SPDX-License-Identifier: GPL-2.0-or-later
"""Joining the files of a split dump: what is refused, what stays, and damaged files."""

from __future__ import annotations

import io
import random
import resource
import shutil
import struct
import subprocess
import sys
import tracemalloc
from bisect import bisect_right
from collections.abc import Callable, Sequence
from os import environ, pathsep
from pathlib import Path
from typing import Literal

import pytest

from captures import DumpFile
from factory import MIB, Anon, Content, KdumpStyle, Ram, Spec, Vmcore, build, place, random_layout
from mdf.core.errors import FormatError, MdfError, OutputError, OutputExistsError
from mdf.core.messages import Messages
from mdf.split import reassemble as command
from mdf.split.join import JoinOptions, reassemble

CUTS = (0, 0x300, 0x900)
ZEROS = place(0x200, Anon(order=0, content=Content.ZERO))


def small(bits: Literal[32, 64] = 64, byteorder: Literal["little", "big"] = "little") -> Vmcore:
    ram = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 14 * MIB))
    arch: Literal["x86_64", "linear"] = "x86_64" if (bits, byteorder) == (64, "little") else "linear"
    return build(Spec(release="3.10.0", arch=arch, bits=bits, byteorder=byteorder, ram=ram, pages=(ZEROS,)))


@pytest.fixture(scope="module")
def core() -> Vmcore:
    return small()


def parts_of(core: Vmcore, folder: Path, **style: object) -> list[Path]:
    """The files of a split dump that another writer makes."""
    ends = (*CUTS[1:], max(core.ram_pfns) + 1)
    paths = []
    for number, split in enumerate(zip(CUTS, ends, strict=True)):
        style_ = KdumpStyle(**{"zlib": True, "level": 1, **style, "split": split})  # type: ignore[arg-type]
        paths.append(core.kdump(folder / f"part{number}", style_))
    return paths


@pytest.fixture(scope="module")
def made(core: Vmcore, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return parts_of(core, tmp_path_factory.mktemp("made"))


@pytest.fixture
def parts(made: list[Path], tmp_path: Path) -> list[Path]:
    return [Path(shutil.copy(path, tmp_path)) for path in made]


def join(parts: Sequence[Path], *, force: bool = False) -> Path:
    dumpfile = parts[0].parent / "joined"
    reassemble(JoinOptions(tuple(parts), dumpfile, force))
    return dumpfile


def refused(parts: Sequence[Path], match: str) -> None:
    """The files are refused before the output is made."""
    with pytest.raises(FormatError, match=match):
        join(parts)
    assert not (parts[0].parent / "joined").exists()


def edit(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    ("version", "bits", "byteorder", "padded"),
    [
        (2, 64, "little", False),
        (3, 64, "big", False),
        (4, 32, "little", False),
        (5, 32, "little", True),
        (5, 64, "little", False),
        (6, 32, "little", False),
        (6, 32, "big", True),
        (6, 64, "big", False),
    ],
)
def test_files_of_every_layout_and_version_join_to_what_was_never_split(
    version: int, bits: Literal[32, 64], byteorder: Literal["little", "big"], padded: bool, tmp_path: Path
) -> None:
    core = small(bits, byteorder)
    style = {"version": version, "padded": padded}
    whole = core.kdump(tmp_path / "whole", KdumpStyle(zlib=True, level=1, **style))  # type: ignore[arg-type]
    one, two, three = parts_of(core, tmp_path, **style)
    assert join([three, one, two]).read_bytes() == whole.read_bytes()


def test_erase_information_is_joined_in_the_order_of_pages(core: Vmcore, tmp_path: Path) -> None:
    texts = [b"erase one size 8\n", b"", b"erase three nullify\n"]
    parts = []
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        parts.append(parts_of(core, folder, eraseinfo=text)[number])
    dump = DumpFile(join(parts[::-1]))
    start, size = dump.sub["offset_eraseinfo"], dump.sub["size_eraseinfo"]
    assert dump.data[start:] == b"".join(texts)
    assert size == len(b"".join(texts))


def test_a_missing_file_is_named_by_its_pages(parts: list[Path]) -> None:
    refused(parts[1:], "no file with the pages 0x0 - 0x300")
    refused([parts[2], parts[0]], "no file with the pages 0x300 - 0x900")
    refused(parts[:2], "no file with the pages 0x900 - 0xe00")


def test_an_ordinary_dump_is_no_file_of_a_split_one(core: Vmcore, tmp_path: Path) -> None:
    whole = core.kdump(tmp_path / "whole", KdumpStyle())
    refused([whole], "whole is no file of a split dump")
    refused([whole, whole], "whole is no file of a split dump")
    refused([core.kdump(tmp_path / "old", KdumpStyle(version=1))], "no file of a split dump")


def test_a_file_given_twice_is_refused(parts: list[Path]) -> None:
    refused([*parts, parts[1]], "pages 0x300 - 0x900 are in another file too")


def test_files_of_different_dumps_are_refused(core: Vmcore, parts: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = parts_of(core, folder, excluded=[0x400])
    refused([parts[0], other[1], parts[2]], "part1 is not of the same dump as .*part0: their bitmaps differ")
    edit(parts[1], 424, struct.pack("<I", DumpFile(parts[1]).main["status"] | 8))
    refused(parts, "part1 is not of the same dump as .*part0: their headers differ")


def test_what_is_no_dump_is_refused(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no dump")
    refused([*parts, tmp_path / "text"], "text is not a kdump-compressed dump")
    refused([tmp_path / "text"], "text: .*not an ELF file")


def test_an_existing_output_stays_without_force_and_a_part_always(parts: list[Path]) -> None:
    dumpfile = parts[0].parent / "joined"
    dumpfile.write_text("precious")
    with pytest.raises(OutputExistsError):
        join(parts)
    assert dumpfile.read_text() == "precious"
    before = parts[2].read_bytes()
    with pytest.raises(OutputError):
        reassemble(JoinOptions(tuple(parts), parts[2], force=True))
    assert parts[2].read_bytes() == before
    assert join(parts, force=True).stat().st_mode & 0o777 == 0o644  # Overwritten, as it was.


def _size_too_large(part: DumpFile) -> tuple[int, bytes]:
    return 8, struct.pack("<I", 4097)


def _size_zero(part: DumpFile) -> tuple[int, bytes]:
    return 8, struct.pack("<I", 0)


def _in_headers(part: DumpFile) -> tuple[int, bytes]:
    return 0, struct.pack("<q", 4096)


def _negative(part: DumpFile) -> tuple[int, bytes]:
    return 0, struct.pack("<q", -4096)


def _behind_the_end(part: DumpFile) -> tuple[int, bytes]:
    return 0, struct.pack("<q", len(part.data) - 5)


def _missing(part: DumpFile) -> tuple[int, bytes]:
    return 0, bytes(24)


@pytest.mark.parametrize("damage", [_size_too_large, _size_zero, _in_headers, _negative, _behind_the_end, _missing])
def test_a_damaged_descriptor_leaves_an_output_that_says_it_is_incomplete(
    damage: Callable[[DumpFile], tuple[int, bytes]], parts: list[Path]
) -> None:
    part = DumpFile(parts[1])
    offset, data = damage(part)
    descriptors = part.data_offset - 24 * len(part.pfns)
    edit(parts[1], descriptors + 24 * 5 + offset, data)
    err = io.StringIO()
    dumpfile = parts[0].parent / "joined"
    with pytest.raises(FormatError, match="part1"):
        reassemble(JoinOptions(tuple(parts), dumpfile), Messages(4, stderr=err))
    assert err.getvalue() == f"{dumpfile} is not complete, and shows it.\n"
    assert DumpFile(dumpfile).main["status"] & 8


def test_a_truncated_file_leaves_an_output_that_says_it_is_incomplete(parts: list[Path]) -> None:
    whole = parts[2].read_bytes()
    for size in (len(whole) - 1, DumpFile(parts[2]).data_offset - 24 * 1000):
        parts[2].write_bytes(whole[:size])
        with pytest.raises(FormatError, match="part2 is truncated"):
            join(parts, force=True)
        assert DumpFile(parts[0].parent / "joined").main["status"] & 8


def test_incomplete_files_join_to_a_dump_that_lacks_the_lost_pages_only(core: Vmcore, parts: list[Path]) -> None:
    whole = DumpFile(parts[2])
    own = [pfn for pfn in whole.pfns if pfn >= CUTS[2]]
    table = list(whole.descriptors.values())[: len(own)]
    keep = 100
    parts[2].write_bytes(whole.data[: table[keep].offset + table[keep].size - 1])
    for path in parts:
        edit(path, 424, struct.pack("<I", whole.main["status"] | 8))
    out = io.StringIO()
    dumpfile = parts[0].parent / "joined"
    reassemble(JoinOptions(tuple(parts), dumpfile), Messages(2, stdout=out))
    assert out.getvalue() == "The files are of an incomplete dump: pages are missing in it.\n"
    dump = DumpFile(dumpfile)
    assert dump.main["status"] & 8
    assert [pfn for pfn in dump.pfns if not dump.descriptors[pfn].offset] == own[keep:]
    assert all(dump.page(pfn) == core.page(pfn) for pfn in dump.pfns if pfn not in own[keep:])


@pytest.mark.parametrize("where", [0.0, 0.01, 0.3, 0.999])
def test_a_full_disk_is_one_line_and_leaves_no_dump_that_looks_good(where: float, parts: list[Path]) -> None:
    dumpfile = join(parts)
    size = dumpfile.stat().st_size
    dumpfile.unlink()

    def no_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * where), int(size * where)))

    run = "import sys; from mdf.split.reassemble import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", run, "--message-level", "6", *map(str, parts), str(dumpfile)],
        env={**environ, "PYTHONPATH": pathsep.join(sys.path)},
        preexec_fn=no_more,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stdout == "\nmakedumpfile Failed.\n"
    assert done.stderr.splitlines() == [
        f"{dumpfile} is not complete, and shows it.",
        f"Can't write the dump file({dumpfile}). File too large",
    ]
    left = dumpfile.read_bytes()
    assert len(left) <= size * where
    assert len(left) < 464 or struct.unpack_from("<I", left, 424)[0] & 8


def test_memory_does_not_follow_the_size_of_the_dump(tmp_path: Path) -> None:
    core = build(random_layout(Spec(), seed=12))
    top = max(core.ram_pfns) + 1
    parts = [
        core.kdump(tmp_path / f"part{half}", KdumpStyle(split=split)) for half, split in enumerate([(0, 8), (8, top)])
    ]
    assert parts[1].stat().st_size > 16 * MIB
    tracemalloc.start()
    join(parts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * MIB


@pytest.mark.parametrize("seed", range(40))
def test_damage_in_the_headers_or_descriptors_is_an_error_or_stays_in_its_file(
    seed: int, core: Vmcore, parts: list[Path]
) -> None:
    chance = random.Random(seed)
    whole = join(parts).read_bytes()
    damaged = seed % 3
    part = parts[damaged]
    end = chance.choice([464, 4096 + 104, 12288, DumpFile(part).data_offset])
    for _ in range(3):
        edit(part, chance.randrange(end), chance.choice([b"\x00", b"\xff", b"\xff" * 8, chance.randbytes(4)]))
    try:
        dump = DumpFile(join(parts, force=True))
    except MdfError:
        left = (parts[0].parent / "joined").read_bytes()
        assert left == whole or struct.unpack_from("<I", left, 424)[0] & 8
    else:
        others = [pfn for pfn in core.ram_pfns if bisect_right(CUTS, pfn) - 1 != damaged]
        assert all(dump.page(pfn) == core.page(pfn) for pfn in others)


def test_the_command_says_where_the_dump_is(parts: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    dumpfile = parts[0].parent / "joined"
    arguments = [*map(str, parts), str(dumpfile)]
    assert command.main(arguments) == 0
    assert capsys.readouterr().out == f"\nThe dumpfile is saved to {dumpfile}.\n\nmakedumpfile Completed.\n"
    assert command.main(arguments) == 1
    assert capsys.readouterr().err == f"Can't open the dump file ({dumpfile}). File exists\nUse -f to overwrite it.\n"
    assert command.main(["-f", *arguments]) == 0


def test_other_modes_are_told_where_to_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["dump"]) == 1
    assert capsys.readouterr().out.startswith("Commandline parameter is invalid.\n")
    assert command.main(["-R", "dump"]) == 1
    assert capsys.readouterr().err == "mdf-reassemble does not do -R.\nmdf-rearrange does.\n"
    assert command.main(["-h"]) == 0
    assert capsys.readouterr().out.startswith("usage: mdf-reassemble ")
    assert command.main(["--check-params", "a", "b", "dump"]) == 0


def test_bitmaps_are_in_the_work_dir(parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*map(str, parts), str(tmp_path / "joined")]
    assert command.main(["--work-dir", str(tmp_path / "nowhere"), *arguments]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "joined").exists()
    assert command.main(["--work-dir", str(tmp_path), *arguments]) == 0
    in_work_dir = (tmp_path / "joined").read_bytes()
    assert in_work_dir == join(parts, force=True).read_bytes()
