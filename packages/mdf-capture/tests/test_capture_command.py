# SPDX-License-Identifier: GPL-2.0-or-later
"""The command from its arguments to the dump, its report and its messages."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from captures import DumpFile, dump_of
from factory import MIB, KdumpStyle, Ram, Spec, Vmcore, build, random_layout
from mdf.capture.cli import main
from mdf.core.bitmap import Place

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 8 * MIB))
STEPS = ["Excluding unnecessary pages", "Copying data"]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vmcore, Path]:
    core = build(random_layout(Spec(ram=SMALL), seed=14))
    return core, core.elf(tmp_path_factory.mktemp("command") / "vmcore")


@pytest.fixture
def vmcore(machine: tuple[Vmcore, Path]) -> Path:
    return machine[1]


def test_a_normal_run(vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "-d", "31", str(vmcore), str(tmp_path / "dump")]) == 0
    out, err = capsys.readouterr()
    assert out == f"\nThe dumpfile is saved to {tmp_path / 'dump'}.\n\nmakedumpfile Completed.\n"
    lines = [line for line in re.split("[\r\n]", err) if line]
    assert [line[:50].rstrip() for line in lines] == STEPS
    assert all(line[50:].startswith(": [100.0 %] ") for line in lines)
    assert err.endswith("\n")


def test_only_the_owner_may_read_a_dump(vmcore: Path, tmp_path: Path) -> None:
    for options in (["-d31"], ["-Ed31"]):
        path = tmp_path / options[0]
        assert main(["--message-level=0", *options, str(vmcore), str(path)]) == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_f_overwrites_all_of_an_older_file(vmcore: Path, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(b"\xff" * 20 * MIB)
    assert main(["--message-level=0", "-f", "-d31", str(vmcore), str(tmp_path / "dump")]) == 0
    assert main(["--message-level=0", "-d31", str(vmcore), str(tmp_path / "new")]) == 0
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "new").read_bytes()


REPORT = """\

Original pages  : 0x{original:016x}
  Excluded pages   : 0x{excluded:016x}
{elf_excluded}    Pages filled with zero  : 0x{zero:016x}
    Non-private cache pages : 0x{cache:016x}
    Private cache pages     : 0x{cache_private:016x}
    User process data pages : 0x{user:016x}
    Free pages              : 0x{free:016x}
    Hwpoison pages          : 0x{hwpoison:016x}
    Offline pages           : 0x{offline:016x}
  Remaining pages  : 0x{remaining:016x}
{elf_remaining}  (The number of pages is reduced to {percent}%.)
Memory Hole     : 0x{hole:016x}
--------------------------------------------------
Total pages     : 0x{total:016x}
Write bytes     : {written}

Cache hit: {hits}, miss: {misses}, hit rate: {rate:.1f}%

"""


@pytest.mark.parametrize("elf", [False, True])
def test_the_report_has_the_form_that_scripts_read(
    elf: bool, machine: tuple[Vmcore, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core, vmcore = machine
    report = dump_of(core, vmcore, tmp_path / "same", 31, elf=elf)
    assert main([*(["-E"] if elf else []), "-d31", "--message-level", "16", str(vmcore), str(tmp_path / "dump")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    before, block = out[: out.index("\n\nOriginal")], out[out.index("\n\nOriginal") + 1 :]
    checks = [line for line in before.splitlines() if line.startswith("Self-check: ")]
    assert any(" free pages found, " in line for line in checks)
    assert checks[-1].endswith(" pages that must stay are there.")
    steps = "\n".join(line for line in before.splitlines() if line not in checks)
    labels = [STEPS[0], *(["Excluding zero pages"] if elf else []), STEPS[1]]
    assert len(steps.splitlines()) == len(labels)
    for line, label in zip(steps.splitlines(), labels, strict=True):
        assert re.fullmatch(rf"STEP \[{label:<27}\] : \d+\.\d{{6}} seconds", line)
    values = {name: getattr(report, name) for name in "original excluded zero cache cache_private user".split()}
    values |= {name: getattr(report, name) for name in "free hwpoison offline remaining total written".split()}
    hits, misses = report.lookups
    remaining = report.remaining
    elf_excluded = elf_remaining = ""
    if report.elf_excluded is not None:
        remaining = report.original - report.elf_excluded
        elf_excluded = f"     in ELF format : 0x{report.elf_excluded:016x}\n"
        elf_remaining = f"     in ELF format : 0x{remaining:016x}\n"
    assert block == REPORT.format(
        **values,
        elf_excluded=elf_excluded,
        elf_remaining=elf_remaining,
        percent=100 * remaining // report.original,
        hole=(report.total - report.original) % (1 << 64),
        hits=hits,
        misses=misses,
        rate=100 * hits / (hits + misses),
    )
    assert report.excluded > 0
    assert report.written >= os.stat(tmp_path / "dump").st_size - 4096 * 8


def test_each_class_of_messages_has_its_bit_and_stream(
    vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {}
    for level in (0, 1, 2, 4, 8, 16):
        path = tmp_path / str(level)
        assert main(["--message-level", str(level), "-d31", str(vmcore), str(path)]) == 0
        said[level] = capsys.readouterr()
    assert said[0] == said[4] == ("", "")
    assert said[1].out == ""
    assert "Copying data" in said[1].err
    assert said[2] == (f"\nThe dumpfile is saved to {tmp_path / '2'}.\n\nmakedumpfile Completed.\n", "")
    assert "  OSRELEASE=6.1.0\n" in said[8].out
    assert said[8].err == said[16].err == ""
    assert "Original pages  : 0x" in said[16].out
    assert main(["--message-level", "4", "-d31", str(tmp_path), str(tmp_path / "x")]) == 1
    out, err = capsys.readouterr()
    assert (out, "Is a directory" in err) == ("", True)


def test_show_stats_and_debug_add_to_the_messages(
    vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-D", "--show-stats", "-d31", str(vmcore), str(tmp_path / "dump")]) == 0
    out, err = capsys.readouterr()
    for text in ("  OSRELEASE=6.1.0\n", "Original pages  : 0x", "The dumpfile is saved to "):
        assert text in out
    assert "Copying data" in err


def test_check_params_reads_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-params", "-d31", "missing", str(tmp_path / "dump")]) == 0
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_vtop_shows_the_walk_and_then_makes_the_dump(
    machine: tuple[Vmcore, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core, vmcore = machine
    vaddr = core.symbols["init_uts_ns"]
    paddr = vaddr - core.machine.image + core.machine.image_paddr
    argv = ["--message-level=2", "-d31", "--vtop", hex(vaddr), str(vmcore), str(tmp_path / "dump")]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["", f"Translating virtual address {vaddr:x} to physical address."]
    steps = lines[2 : lines.index("VIRTUAL           PHYSICAL")]
    assert [re.fullmatch(r"  (PGD|PUD|PMD) : ( *[0-9a-f]+) => ( *[0-9a-f]+)", line) is None for line in steps] == [
        False
    ] * 3
    assert all(len(line) == 8 + 16 + 4 + 16 for line in steps)
    assert lines[5:8] == ["VIRTUAL           PHYSICAL", f"{vaddr:16x}  {paddr:x}", ""]
    assert lines[-1] == "makedumpfile Completed."
    dump_of(core, vmcore, tmp_path / "plain", 31)
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "plain").read_bytes()


def test_vtop_of_an_address_that_is_not_mapped(
    vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--vtop", "0xffffa00000000000", str(vmcore), str(tmp_path / "dump")]) == 0
    out, err = capsys.readouterr()
    assert "ffffa00000000000  ffffffffffffffff\n" in out
    assert "Virtual address 0xffffa00000000000 is not mapped" in err


@pytest.mark.parametrize("options", ["-b 0", "-b 9", "--num-threads 1", "--num-threads 2", "--num-threads 8"])
@pytest.mark.parametrize("compression", ["", "-c"])
def test_buffers_and_processes_change_no_byte(options: str, compression: str, vmcore: Path, tmp_path: Path) -> None:
    base = ["--message-level=0", "-d31", *compression.split()]
    assert main([*base, str(vmcore), str(tmp_path / "one")]) == 0
    assert main([*base, *options.split(), str(vmcore), str(tmp_path / "other")]) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.fixture
def bitmap_files(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where bitmap files were made."""
    made = []
    mkstemp = tempfile.mkstemp

    def recording(prefix: str, dir: Path | None) -> tuple[int, str]:
        descriptor, name = mkstemp(prefix=prefix, dir=dir)
        made.append(Path(name))
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", recording)
    return made


def test_small_bitmaps_need_no_file(vmcore: Path, tmp_path: Path, bitmap_files: list[Path]) -> None:
    assert main(["--message-level=0", "-d31", str(vmcore), str(tmp_path / "dump")]) == 0
    assert bitmap_files == []


def test_large_bitmaps_are_files_in_tmpdir_that_vanish(
    vmcore: Path, tmp_path: Path, bitmap_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(Place, "in_work_dir", classmethod(lambda cls, directory: cls(directory, 100)))
    assert main(["--message-level=0", "-d31", str(vmcore), str(tmp_path / "dump")]) == 0
    monkeypatch.undo()
    assert main(["--message-level=0", "-d31", str(vmcore), str(tmp_path / "same")]) == 0
    assert {path.parent for path in bitmap_files} == {tmp_path / "tmp"}
    assert all(path.name.startswith("kdump_bitmap") for path in bitmap_files)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "same").read_bytes()


def test_work_dir_is_where_bitmaps_are_files_whatever_their_size(
    vmcore: Path, tmp_path: Path, bitmap_files: list[Path]
) -> None:
    (tmp_path / "work").mkdir()
    base = ["--message-level=0", "-d31", str(vmcore)]
    assert main([*base, "--work-dir", str(tmp_path / "work"), str(tmp_path / "dump")]) == 0
    assert {path.parent for path in bitmap_files} == {tmp_path / "work"}
    assert list((tmp_path / "work").iterdir()) == []
    assert main([*base, str(tmp_path / "same")]) == 0
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "same").read_bytes()


def test_a_work_dir_that_is_missing(vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-d31", "--work-dir", str(tmp_path / "no"), str(vmcore), str(tmp_path / "dump")]) == 1
    out, err = capsys.readouterr()
    assert out == "\nmakedumpfile Failed.\n"
    assert f"in {tmp_path / 'no'}: " in err
    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize("version", range(1, 7))
def test_a_dump_of_any_header_version_is_filtered_again(
    version: int, machine: tuple[Vmcore, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core, vmcore = machine
    old = core.kdump(tmp_path / "old", KdumpStyle(version=version, level=1, zlib=True))
    argv = ["-d", "30" if version >= 3 else "0", str(old), str(tmp_path / "dump")]
    assert main(argv) == 0
    level = 31 if version >= 3 else 1
    out = capsys.readouterr().out
    assert f"dump_level is changed to {level}, because {old} was created by dump_level(1)." in out
    dump_of(core, vmcore, tmp_path / "fresh", level)
    again, fresh = DumpFile(tmp_path / "dump"), DumpFile(tmp_path / "fresh")
    assert again.version == 6
    assert again.sub["dump_level"] == level
    if version >= 3:
        assert again.bitmap2 == fresh.bitmap2
    assert all(again.page(pfn) == core.page(pfn) for pfn in again.pfns)
    notes = again.data[again.sub["offset_note"] :][: again.sub["size_note"]]
    assert (notes == core.notes()) == (version >= 4)
    start = again.sub["offset_vmcoreinfo"]
    assert (again.data[start:][: again.sub["size_vmcoreinfo"]] == core.vmcoreinfo.encode()) == (version >= 3)


def test_filtering_again_gives_what_filtering_the_vmcore_gives(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    core, vmcore = machine
    for compression in (None, "zlib"):
        dump_of(core, vmcore, tmp_path / "first", 1, compression="zlib")
        dump_of(core, tmp_path / "first", tmp_path / "again", 31, compression=compression)
        dump_of(core, vmcore, tmp_path / "fresh", 31, compression=compression)
        assert (tmp_path / "again").read_bytes() == (tmp_path / "fresh").read_bytes()


def test_filtering_again_carries_over_what_was_erased(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    core, _ = machine
    erased = b"erase jiffies size 8\nerase key nullify\n"
    old = core.kdump(tmp_path / "old", KdumpStyle(eraseinfo=erased))
    dump_of(core, old, tmp_path / "dump", 31)
    dump = DumpFile(tmp_path / "dump")
    start, size = dump.sub["offset_eraseinfo"], dump.sub["size_eraseinfo"]
    assert dump.data[start : start + size] == erased
    assert start + size == len(dump.data)


def test_an_incomplete_dump_gives_the_pages_it_has_with_a_word_about_it(
    machine: tuple[Vmcore, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    core, _ = machine
    old = core.kdump(tmp_path / "old")
    data = bytearray(old.read_bytes()[:-100_000])
    data[424] |= 8
    old.write_bytes(data)
    main(["-d0", str(old), str(tmp_path / "dump")])
    assert "is an incomplete dump" in "".join(capsys.readouterr())
    dump = DumpFile(tmp_path / "dump")
    assert dump.pfns
    assert all(dump.page(pfn) == core.page(pfn) for pfn in dump.pfns)


def test_a_kernel_that_is_too_new_gets_a_warning_and_a_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vmcore = build(Spec(release="9.0.0", ram=SMALL)).elf(tmp_path / "vmcore")
    assert main(["--message-level=2", "-d31", str(vmcore), str(tmp_path / "dump")]) == 0
    expected = "The kernel version is not supported.\nThe makedumpfile operation may be incomplete.\n"
    assert capsys.readouterr().out.startswith(expected)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_dump_is_made_also_where_nobody_hears_of_it(closed: str, vmcore: Path, tmp_path: Path) -> None:
    program = "import sys; from mdf.capture.cli import main; sys.exit(main())"
    command = f'exec "$0" -c "$1" -d31 "$2" "$3" {closed}'
    arguments = ["sh", "-c", command, sys.executable, program, str(vmcore), str(tmp_path / "dump")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(arguments, env=environment, capture_output=True, check=False)
    assert result.returncode == 0
    assert b"Traceback" not in result.stdout + result.stderr
    assert main(["--message-level=0", "-d31", str(vmcore), str(tmp_path / "same")]) == 0
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "same").read_bytes()
