# SPDX-License-Identifier: GPL-2.0-or-later
"""--check-dump calls sound dumps sound, and finds every kind of damage that the format lets anybody find."""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from captures import DumpFile, dump_of, elf_of
from damaged import Case, regions
from factory import (
    MIB,
    Anon,
    Cache,
    Content,
    ElfStyle,
    Free,
    KdumpStyle,
    Ram,
    Spec,
    Vmcore,
    build,
    flatten,
    place,
    random_layout,
)
from factory.printk import put
from mdf.capture.check import State, Verdict, check_dump
from mdf.capture.cli import main
from mdf.core.errors import MdfError

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 12 * MIB))
# Without bit 4, which implies bit 2: with it, a dump does not tell whether bit 2 was asked for.
LEVEL = 27


def machine(crashtime: int = 1_700_000_000) -> Vmcore:
    pages = (
        place(0x800, Cache(content=Content.TEXT)),
        place(0x810, Anon(content=Content.TEXT)),
        place(0x880, Free(order=7)),
        place(0x100, Cache()),
        place(0x820, Cache(private=True, content=Content.TEXT)),
    )
    spec = Spec(release="6.16.0", ram=SMALL, crashtime=crashtime, cpus=2, pages=pages, default_content=Content.TEXT)
    return with_copy(build(spec))


def with_copy(core: Vmcore) -> Vmcore:
    """The machine with a copy of VMCOREINFO in its memory, as kernels have it."""
    put(core, core.vmcoreinfo.encode())
    return core


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("checked")
    core = machine()
    dump_of(core, elf_of(core, folder), folder / "dump", LEVEL, compression="zlib")
    assert check_dump([folder / "dump"]).state is State.SOUND
    return Case(folder / "dump", DumpFile(folder / "dump"))


@pytest.mark.parametrize("size", [0, 4, 100, 464, 5000, 9000, 13000, -4097, -100, -1])
def test_a_cut_tail_is_found(size: int, case: Case, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(case.parsed.data[:size])
    assert check_dump([cut]).state is State.DAMAGED


def test_what_is_behind_the_last_page_is_found(case: Case, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    longer.write_bytes(case.parsed.data + b"\x00")
    assert "1 bytes behind the last page" in check_dump([longer]).line


def two_pages(parsed: DumpFile) -> tuple[int, int]:
    """Two pages next to each other in the file whose stored sizes differ."""
    stored = [pfn for pfn in parsed.pfns if parsed.descriptors[pfn].flags]
    descriptors = parsed.descriptors
    return next(
        (one, other)
        for one, other in pairwise(stored)
        if descriptors[one].size != descriptors[other].size
        and descriptors[one].offset + descriptors[one].size == descriptors[other].offset
    )


def descriptor_at(parsed: DumpFile, pfn: int) -> int:
    return regions(parsed)["descriptors"].start + 24 * parsed.pfns.index(pfn)


def test_swapped_descriptors_are_found(case: Case) -> None:
    one, other = (descriptor_at(case.parsed, pfn) for pfn in two_pages(case.parsed))
    data = case.parsed.data
    verdict = case.changed((one, data[other : other + 24]), (other, data[one : one + 24]))
    assert isinstance(verdict, Verdict)
    assert "is not in its place" in verdict.line


def test_swapped_pages_are_found(case: Case) -> None:
    one, other = (case.parsed.descriptors[pfn] for pfn in two_pages(case.parsed))
    data = case.parsed.data
    both = data[other.offset : other.offset + other.size] + data[one.offset : one.offset + one.size]
    verdict = case.changed((one.offset, both))
    assert isinstance(verdict, Verdict)
    assert verdict.state is State.DAMAGED


def test_two_pages_that_share_their_data_are_found(case: Case) -> None:
    one, other = (descriptor_at(case.parsed, pfn) for pfn in two_pages(case.parsed))
    verdict = case.changed((other, case.parsed.data[one : one + 24]))
    assert isinstance(verdict, Verdict)
    assert "overlaps the page before" in verdict.line


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    core = machine()
    middle = core.max_mapnr * 2 // 3
    paths = [tmp_path / "part0", tmp_path / "part1"]
    for path, split in zip(paths, [(0, middle), (middle, core.max_mapnr)], strict=True):
        core.kdump(path, KdumpStyle(zlib=True, level=1, split=split))
    return paths


def test_all_files_of_a_split_dump_in_any_order_are_sound(parts: list[Path]) -> None:
    verdicts = check_dump(parts), check_dump(parts[::-1])
    assert [verdict.state for verdict in verdicts] == [State.SOUND] * 2
    assert verdicts[0].pages == verdicts[1].pages > 2000


def test_a_split_dump_of_which_a_file_is_missing_says_which_pages_are(parts: list[Path]) -> None:
    verdict = check_dump(parts[:1])
    assert verdict.exit_status == 1
    assert "there is no file with the pages" in verdict.line


def test_swapped_ranges_of_split_files_are_found(parts: list[Path]) -> None:
    one, other = (path.read_bytes() for path in parts)
    for path, own, foreign in ((parts[0], one, other), (parts[1], other, one)):
        data = bytearray(own)
        for start, end in ((4096 + 12, 4096 + 32), (4096 + 80, 4096 + 96)):
            data[start:end] = foreign[start:end]
        path.write_bytes(data)
    assert check_dump(parts).state is State.DAMAGED


def test_a_split_file_of_another_dump_is_found(parts: list[Path], tmp_path: Path) -> None:
    foreign = machine(crashtime=1_700_000_001)
    middle = foreign.max_mapnr * 2 // 3
    foreign.kdump(tmp_path / "foreign", KdumpStyle(zlib=True, level=1, split=(middle, foreign.max_mapnr)))
    assert "is not of the same dump" in check_dump([parts[0], tmp_path / "foreign"]).line


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("level", [0, 1, 16, 31])
@pytest.mark.parametrize("release", ["2.6.32", "3.10.0", "6.1.0", "7.2.0"])
def test_a_dump_as_it_is_written_is_sound(release: str, level: int, compression: str | None, tmp_path: Path) -> None:
    core = with_copy(build(random_layout(Spec(release=release, ram=SMALL), seed=11)))
    dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", level, compression=compression)
    verdict = check_dump([tmp_path / "dump"])
    assert verdict.line == f"{tmp_path / 'dump'}: sound: kdump compressed, {verdict.pages} pages read"
    assert not verdict.details()


@pytest.mark.parametrize("version", range(1, 7))
@pytest.mark.parametrize(("bits", "padded"), [(32, False), (32, True), (64, False)])
def test_dumps_of_older_programs_are_sound(version: int, bits: Literal[32, 64], padded: bool, tmp_path: Path) -> None:
    core = build(Spec(release="3.10.0", arch="linear", bits=bits, ram=SMALL))
    core.kdump(tmp_path / "dump", KdumpStyle(version=version, padded=padded, zlib=True, level=1))
    assert check_dump([tmp_path / "dump"]).state is State.SOUND


def test_a_flattened_stream_is_checked_in_place(case: Case, tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(flatten(case.path))
    assert check_dump([stream]).state is State.SOUND
    stream.write_bytes(stream.read_bytes()[:-16])
    assert check_dump([stream]).state is State.DAMAGED


def test_what_is_behind_the_end_of_a_stream_is_told(case: Case, tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    stream.write_bytes(flatten(case.path) + b"more")
    verdict = check_dump([stream])
    assert (verdict.state, verdict.remarks) == (State.SOUND, (f"4 bytes behind the end of the stream {stream}",))


def test_an_elf_dump_is_checked(tmp_path: Path) -> None:
    vmcore = machine().elf(tmp_path / "vmcore", ElfStyle())
    verdict = check_dump([vmcore])
    assert verdict.line == f"{vmcore}: sound: ELF, {verdict.pages} pages read; not checked: what is in the pages"
    data = bytearray(vmcore.read_bytes())
    vmcore.write_bytes(data[:-1])
    assert "is truncated" in check_dump([vmcore]).line
    data[16] ^= 1
    vmcore.write_bytes(data)
    assert "e_type" in check_dump([vmcore]).line


def test_the_vmcoreinfo_of_an_elf_dump_is_that_in_memory(tmp_path: Path) -> None:
    vmcore = machine().elf(tmp_path / "vmcore", ElfStyle())
    data = vmcore.read_bytes()
    vmcore.write_bytes(data.replace(b"NUMBER(PG_lru)=", b"NUMBER(PG_lry)=", 1))
    assert "the VMCOREINFO note differs from the kernel's own in memory" in check_dump([vmcore]).line


def test_notes_that_overlap_the_program_headers_are_found(tmp_path: Path) -> None:
    vmcore = machine().elf(tmp_path / "vmcore", ElfStyle())
    data = bytearray(vmcore.read_bytes())
    offset, size = (struct.unpack_from("<Q", data, 64 + at)[0] for at in (8, 32))
    struct.pack_into("<Q", data, 64 + 8, 100)
    data[100 : 100 + size] = data[offset : offset + size]
    vmcore.write_bytes(data)
    assert check_dump([vmcore]).state is State.DAMAGED


def test_an_elf_dump_whose_segments_overlap_in_the_file_is_damaged(tmp_path: Path) -> None:
    vmcore = machine().elf(tmp_path / "vmcore", ElfStyle())
    data = bytearray(vmcore.read_bytes())
    headers = [64 + 56 * number for number in range(struct.unpack_from("<H", data, 56)[0])]
    last = [at for at in headers if struct.unpack_from("<I", data, at)[0] == 1][-1]
    struct.pack_into("<Q", data, last + 8, struct.unpack_from("<Q", data, last + 8)[0] - 4096)
    vmcore.write_bytes(data)
    assert "overlaps PT_LOAD" in check_dump([vmcore]).line


def test_an_incomplete_dump_says_how_much_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = machine()
    with pytest.raises(MdfError):
        dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 1, size_limit=4 * MIB)
    verdict = check_dump([tmp_path / "dump"])
    assert verdict.state is State.INCOMPLETE
    lost, _, total, *_ = verdict.missing[0].split()
    assert int(lost) + verdict.pages == int(total) > 2000
    assert int(lost) > 500
    assert main(["--check-dump", str(tmp_path / "dump")]) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'dump'}: incomplete: {verdict.missing[0]}\n"


def test_an_incomplete_elf_dump_says_where_it_ends(tmp_path: Path) -> None:
    core = machine()
    with pytest.raises(MdfError):
        dump_of(core, elf_of(core, tmp_path), tmp_path / "dump", 1, elf=True, size_limit=4 * MIB)
    verdict = check_dump([tmp_path / "dump"])
    assert verdict.state is State.INCOMPLETE
    top = int(verdict.missing[0].split()[-1], 16)
    assert MIB < top < 12 * MIB


def test_a_complete_dump_that_is_marked_incomplete_says_so(case: Case) -> None:
    verdict = case.changed((424, struct.pack("<I", 1 | 8)))
    assert isinstance(verdict, Verdict)
    assert verdict.state is State.INCOMPLETE
    assert "nothing is missing" in verdict.line


def test_the_verdict_is_one_line_and_the_exit_status(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-dump", str(case.path)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{case.path}: sound: ")
    assert out.count("\n") == 1
    assert err == ""


def test_json_is_one_object_and_nothing_else(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-dump", "--json", str(case.path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == [
        "state",
        "files",
        "kind",
        "pages",
        "damage_count",
        "damage",
        "missing",
        "unchecked",
        "remarks",
    ]
    assert (answer["state"], answer["damage"], answer["files"]) == ("sound", [], [str(case.path)])
    assert answer["pages"] == len(case.parsed.pfns)


def test_what_could_not_be_checked_is_in_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = build(Spec(ram=SMALL, vmcoreinfo=False))
    core.kdump(tmp_path / "dump", KdumpStyle(zlib=True))
    assert main(["--check-dump", str(tmp_path / "dump")]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("; not checked: the kernel's name in memory, the bitmaps by page structures\n")
    assert "  not checked: the bitmaps by page structures: no VMCOREINFO\n" in err
    assert main(["--check-dump", "--json", str(tmp_path / "dump")]) == 0
    unchecked = json.loads(capsys.readouterr().out)["unchecked"]
    assert unchecked[1] == {"what": "the bitmaps by page structures", "why": "no VMCOREINFO"}


def test_a_file_that_is_no_dump_or_not_there_ends_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("no dump")
    assert main(["--check-dump", str(tmp_path / "text")]) == 1
    assert "Can't get valid ehdr" in capsys.readouterr().out
    assert main(["--check-dump", str(tmp_path / "nowhere")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_new_options_leave_the_original_abbreviations_alone() -> None:
    assert main(["--check", "-c", "-d", "31", "vmcore", "dump"]) == 0
    assert main(["--check-d", "dump"]) == 1
    assert main(["--json", "vmcore", "dump"]) == 1
    assert main(["--check-dump"]) == 1
