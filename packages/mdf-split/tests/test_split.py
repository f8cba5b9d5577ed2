# SPDX-License-Identifier: GPL-2.0-or-later
"""Split dumps: each file by itself, and all of them joined again."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from captures import DumpFile, architectures, dump_of
from factory import KdumpStyle, Model, Spec, Vmcore, build, random_layout
from mdf.capture import Options
from mdf.capture.analysis import LinuxAnalysis
from mdf.capture.report import Report
from mdf.core.bitmap import Bitmap
from mdf.core.errors import FormatError, InputError, NoSpaceError, OutputError, OutputExistsError, UsageError
from mdf.core.messages import Messages
from mdf.split import cli, run
from mdf.split.join import JoinOptions, reassemble
from mdf.split.options import SplitOptions
from mdf.split.ranges import ranges
from mdf.split.run import split

BLOCK = 1024  # KiB: 256 pages.
Machine = tuple[Vmcore, Path]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    core = build(random_layout(Spec(), seed=12))
    return core, core.elf(tmp_path_factory.mktemp("split") / "vmcore")


def names(folder: Path, count: int) -> tuple[Path, ...]:
    return tuple(folder / f"part{number}" for number in range(count))


def split_of(
    core: Vmcore, vmcore: Path, files: Sequence[Path], level: int, messages: Messages | None = None, **options: Any
) -> Report:
    dump = Options(vmcore, dump_levels=(level,), **options)
    return split(SplitOptions(dump, tuple(files), BLOCK), messages, LinuxAnalysis(architectures(core)))


def joined(files: Sequence[Path], dumpfile: Path) -> bytes:
    reassemble(JoinOptions(tuple(files), dumpfile, force=True))
    return dumpfile.read_bytes()


@pytest.mark.parametrize("files", [2, 3, 7])
@pytest.mark.parametrize(("level", "compression"), [(0, None), (1, "zlib"), (31, None), (31, "zlib")])
def test_the_files_joined_in_any_order_are_the_direct_dump(
    files: int, level: int, compression: str | None, machine: Machine, tmp_path: Path
) -> None:
    core, vmcore = machine
    direct = dump_of(core, vmcore, tmp_path / "direct", level, compression=compression, cyclic_buffer=64)
    parts = list(names(tmp_path, files))
    report = split_of(core, vmcore, parts, level, compression=compression)
    random.Random(files).shuffle(parts)
    assert joined(parts, tmp_path / "joined") == (tmp_path / "direct").read_bytes()
    assert replace(report, written=0, lookups=(0, 0)) == replace(direct, written=0, lookups=(0, 0))


@pytest.mark.parametrize(
    "spec",
    [
        Spec(release="3.10.0", arch="linear", bits=32, byteorder="big", model=Model.DISCONTIGMEM),
        Spec(release="3.10.0", arch="linear", bits=32, model=Model.FLATMEM),
    ],
    ids=["32-bit big endian", "32-bit little endian"],
)
def test_dumps_of_other_machines_are_split_and_joined(spec: Spec, tmp_path: Path) -> None:
    core = build(random_layout(spec, seed=3))
    vmcore = core.elf(tmp_path / "vmcore")
    dump_of(core, vmcore, tmp_path / "direct", 31, cyclic_buffer=64)
    split_of(core, vmcore, names(tmp_path, 3), 31)
    assert joined(names(tmp_path, 3), tmp_path / "joined") == (tmp_path / "direct").read_bytes()


@pytest.mark.parametrize("level", [0, 31])
def test_each_file_has_the_headers_and_bitmaps_of_all_and_its_own_pages(
    level: int, machine: Machine, tmp_path: Path
) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "direct", level, cyclic_buffer=64)
    split_of(core, vmcore, names(tmp_path, 3), level)
    direct, found = DumpFile(tmp_path / "direct"), 0
    keep = Bitmap(direct.sub["max_mapnr_64"])
    keep.write(0, direct.bitmap2)
    expected = ranges(keep, 3, BLOCK * 1024 // 4096)
    for path in names(tmp_path, 3):
        part = DumpFile(path)
        assert part.data[:4096] == direct.data[:4096]
        assert (part.bitmap1, part.bitmap2) == (direct.bitmap1, direct.bitmap2)
        assert part.sub["split"] == 1
        start, end = part.sub["start_pfn_64"], part.sub["end_pfn_64"]
        assert (part.sub["start_pfn"], part.sub["end_pfn"]) == (start, end) == expected.pop(0)
        own = [pfn for pfn in part.pfns if start <= pfn < end]
        # The first descriptors are those of the file's own pages.
        table = list(part.descriptors.values())[: len(own)]
        for pfn, descriptor in zip(own, table, strict=True):
            assert part.data[descriptor.offset : descriptor.offset + descriptor.size] == core.page(pfn)
        found += len(own)
        assert path.stat().st_mode & 0o777 == 0o600
    assert found == len(direct.pfns)


def test_filtering_an_existing_dump_again_into_files(machine: Machine, tmp_path: Path) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "first", 3, compression="zlib", cyclic_buffer=64)
    dump_of(core, tmp_path / "first", tmp_path / "direct", 31, compression="zlib")
    split_of(core, tmp_path / "first", names(tmp_path, 3), 31, compression="zlib")
    assert joined(names(tmp_path, 3), tmp_path / "joined") == (tmp_path / "direct").read_bytes()


def test_memory_is_filtered_once_for_all_files(machine: Machine, tmp_path: Path) -> None:
    out = io.StringIO()
    split_of(*machine, names(tmp_path, 5), 31, Messages(16, stdout=out))
    assert out.getvalue().count("STEP [Excluding unnecessary pages]") == 1


def test_outputs_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    one, other = names(tmp_path, 2)
    dump = Options(tmp_path / "missing")
    with pytest.raises(InputError):
        split(SplitOptions(dump, (one, other)))
    other.write_text("precious")
    with pytest.raises(OutputExistsError, match="part1"):
        split(SplitOptions(dump, (one, other)))
    with pytest.raises(OutputError, match="named twice"):
        split(SplitOptions(dump, (one, tmp_path / "." / "part0")))
    assert other.read_text() == "precious"
    assert not one.exists()


def test_what_cannot_be_split_is_refused(machine: Machine, tmp_path: Path) -> None:
    vmcore, two = machine[1], names(tmp_path, 2)
    for options in (
        SplitOptions(Options(vmcore, elf=True), two),
        SplitOptions(Options(vmcore, flattened=True), two),
        SplitOptions(Options(vmcore, num_threads=2), two),
        SplitOptions(Options(vmcore), two[:1]),
        SplitOptions(Options(vmcore), two, splitblock_size=6),
    ):
        with pytest.raises(UsageError):
            split(options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_fit_marks_all_incomplete_and_the_others_have_all_their_pages(
    machine: Machine, tmp_path: Path
) -> None:
    core, vmcore = machine
    split_of(core, vmcore, names(tmp_path, 3), 31)
    whole = [DumpFile(path) for path in names(tmp_path, 3)]
    sizes = sorted(len(part.data) for part in whole)
    with pytest.raises(NoSpaceError) as caught:
        split_of(core, vmcore, names(tmp_path, 3), 31, size_limit=sizes[-1] - 5000, force=True)
    assert caught.value.hint == "This is an incomplete dumpfile, but might analyzable."
    assert sizes[-2] < sizes[-1] - 5000
    for path, before in zip(names(tmp_path, 3), whole, strict=True):
        after = path.read_bytes()
        assert DumpFile(path).main["status"] & 8
        if len(before.data) < sizes[-1]:
            assert after[464:] == before.data[464:]
        else:
            assert len(after) == sizes[-1] - 5000
    # What is there joins to an incomplete dump that lacks the lost pages only.
    joined(names(tmp_path, 3), tmp_path / "joined")
    left = DumpFile(tmp_path / "joined")
    assert left.main["status"] & 8
    there = [pfn for pfn in left.pfns if left.descriptors[pfn].offset]
    assert len(left.pfns) - 3 <= len(there) < len(left.pfns)
    assert all(left.page(pfn) == core.page(pfn) for pfn in there)


def test_the_next_level_of_the_list_is_tried_for_all_files(machine: Machine, tmp_path: Path) -> None:
    core, vmcore = machine
    split_of(core, vmcore, names(tmp_path, 2), 31)
    want = [path.read_bytes() for path in names(tmp_path, 2)]
    dump = Options(vmcore, dump_levels=(0, 31), size_limit=max(map(len, want)), force=True)
    report = split(SplitOptions(dump, names(tmp_path, 2), BLOCK), analysis=LinuxAnalysis(architectures(core)))
    assert report.level == 31
    assert [path.read_bytes() for path in names(tmp_path, 2)] == want


def test_an_error_in_one_thread_ends_all_and_no_file_looks_good(machine: Machine, tmp_path: Path) -> None:
    core = machine[0]
    vmcore = core.kdump(tmp_path / "vmcore", KdumpStyle(zlib=True))
    damaged = DumpFile(vmcore)
    last = [d for d in damaged.descriptors.values() if d.flags][-1]
    vmcore.write_bytes(damaged.data[: last.offset] + bytes(last.size) + damaged.data[last.offset + last.size :])
    err = io.StringIO()
    with pytest.raises(FormatError, match="damaged"):
        split_of(core, vmcore, names(tmp_path, 3), 0, Messages(4, stderr=err))
    assert err.getvalue().count("\n") == 1
    assert "not complete" in err.getvalue()
    assert all(DumpFile(path).main["status"] & 8 for path in names(tmp_path, 3))


@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()], ids=repr)
def test_threads_do_not_go_on_when_one_has_failed(
    error: BaseException, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = []

    def copy(*arguments: Any) -> None:
        done, _, (start, end) = arguments[-3:]
        if start == 0:
            raise error
        try:
            for _ in range(1000):
                done(end)
                time.sleep(0.01)
        except BaseException:
            stopped.append(start)
            raise

    monkeypatch.setattr(run, "copy_pages", copy)
    with pytest.raises(type(error)):
        split_of(*machine, names(tmp_path, 3), 31)
    assert len(stopped) == 2


def test_a_dry_run_writes_nothing_and_reports_the_same(machine: Machine, tmp_path: Path) -> None:
    dry = split_of(*machine, names(tmp_path, 2), 31, dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert split_of(*machine, names(tmp_path, 2), 31) == dry


@pytest.mark.parametrize(("count", "text"), [(2, "{0}, and {1}."), (3, "{0}, {1}, and {2}.")])
def test_the_command_says_where_the_dumpfiles_are(
    count: int, text: str, machine: Machine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(path) for path in names(tmp_path, count)]
    arguments = ["-cd31", "--splitblock-size", str(BLOCK), "--show-stats", str(machine[1]), *files]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"\nThe dumpfiles are saved to {text.format(*files)}\n\nmakedumpfile Completed.\n")
    assert f"\nWrite bytes     : {sum_written(files)}\n" in out
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"Can't open the dump file ({files[0]}). File exists\n")


def sum_written(files: Sequence[str]) -> int:
    """What a direct count of logical writes gives: all but the hole behind the descriptors and those in headers."""
    total = 0
    for name in files:
        part = DumpFile(Path(name))
        own = sum(part.sub["start_pfn"] <= pfn < part.sub["end_pfn"] for pfn in part.pfns)
        bitmaps = 2 * -(-part.sub["max_mapnr_64"] // 8)
        total += 464 + part.sub_size + part.sub["size_note"] + bitmaps + 24 * own + len(part.data) - part.data_offset
    return total


def test_other_modes_are_told_where_to_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["vmcore", "a"]) == 1
    assert capsys.readouterr().out.startswith("Commandline parameter is invalid.\n")
    assert cli.main(["-R", "a"]) == 1
    assert capsys.readouterr().err == "mdf-split does not do -R.\nmdf-rearrange does.\n"
    assert cli.main(["-h"]) == 0
    assert capsys.readouterr().out.startswith("usage: mdf-split ")
    assert cli.main(["--check-params", "--splitblock-size=64", "vmcore", "a", "b"]) == 0
    assert capsys.readouterr() == ("", "")
