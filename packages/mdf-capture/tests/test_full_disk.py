# SPDX-License-Identifier: GPL-2.0-or-later
"""What a device without room leaves: a dump that says it is incomplete, and what fits of it."""

from __future__ import annotations

import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from captures import Descriptor, DumpFile, command, dump_of
from children import environment
from factory import MIB, Content, Kernel, Ram, Spec, Vmcore, build, place, random_layout
from mdf.core.bitmap import Place
from mdf.core.dumps import ElfDump, KdumpFile, open_dump
from mdf.core.errors import AddressError, FormatError

INCOMPLETE = "This is an incomplete dumpfile, but might analyzable.\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vmcore, Path]:
    core = build(random_layout(Spec(), seed=12))
    return core, core.elf(tmp_path_factory.mktemp("full") / "vmcore")


def _run(limit: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the command while no file may become larger than `limit` bytes."""

    def no_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        command(*arguments), env=environment(), preexec_fn=no_more, capture_output=True, text=True, timeout=60
    )


def _in_notes(dump: DumpFile) -> int:
    return dump.sub["offset_note"] + 100


def _in_bitmaps(dump: DumpFile) -> int:
    return (1 + dump.main["sub_hdr_size"]) * 4096 + 50


def _in_descriptors(dump: DumpFile) -> int:
    return dump.data_offset - 24 * len(dump.pfns) // 2


def _in_data(dump: DumpFile) -> int:
    return (dump.data_offset + len(dump.data)) // 2 + 777


SIZES = [
    _in_notes,
    _in_bitmaps,
    _in_descriptors,
    lambda dump: dump.data_offset,
    lambda dump: dump.data_offset + 4100,
    _in_data,
    lambda dump: len(dump.data) - 1,
]
NAMES = ["notes", "bitmaps", "descriptors", "before the data", "first page", "in the data", "last byte"]


@pytest.mark.parametrize("arguments", [["-d31"], ["-cd31"], ["-d0", "--num-threads=2"]], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_a_full_disk_leaves_an_incomplete_dump_of_the_pages_that_fit(
    size: Callable[[DumpFile], int], arguments: list[str], machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = machine
    level, path = int(arguments[0].partition("d")[2]), tmp_path / "dump"
    dump_of(core, vmcore, path, level, compression="zlib" if "c" in arguments[0] else None)
    whole = DumpFile(path)
    limit = size(whole)
    done = _run(limit, *arguments, "-f", vmcore, path)
    assert done.returncode == 1
    assert INCOMPLETE in done.stderr
    assert done.stdout.endswith("\nmakedumpfile Failed.\n")
    assert "Traceback" not in done.stderr
    assert path.stat().st_size <= limit
    left = DumpFile(path)
    assert left.main["status"] & 8
    if limit <= whole.data_offset:
        assert not any(descriptor.offset for descriptor in left.descriptors.values())
        return
    assert path.stat().st_size == limit
    # The pages whose data is there are as in the whole dump, all others have no descriptor.
    there = [pfn for pfn in left.pfns if left.descriptors[pfn].offset]
    assert {pfn: left.descriptors[pfn] for pfn in there} == {pfn: whole.descriptors[pfn] for pfn in there}
    assert all(left.page(pfn) == core.page(pfn) for pfn in there)
    assert {left.descriptors[pfn] for pfn in set(left.pfns) - set(there)} <= {Descriptor(0, 0, 0, 0)}
    if limit > whole.data_offset + 8192:
        assert left.bitmap2 == whole.bitmap2
        lost = next(pfn for pfn in whole.pfns if pfn not in there)
        assert whole.descriptors[lost].offset + whole.descriptors[lost].size > limit
        with open_dump(path) as dump:
            assert isinstance(dump, KdumpFile)
            assert dump.incomplete
            assert dump.read(there[-1] << 12, 4096) == core.page(there[-1])
            with pytest.raises(AddressError, match="incomplete"):
                dump.read(lost << 12, 4096)


@pytest.mark.parametrize("limit", [0, 200])
def test_no_room_for_the_header_leaves_nothing_that_opens(
    limit: int, machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    done = _run(limit, "-d31", machine[1], tmp_path / "dump")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    with pytest.raises(FormatError):
        open_dump(tmp_path / "dump")


def test_a_size_limit_is_like_a_full_disk(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    _, vmcore = machine
    on_disk = _run(300 * 1024, "-d31", vmcore, tmp_path / "disk")
    limited = _run(resource.RLIM_INFINITY, "-d31", "-L300k", vmcore, tmp_path / "limited")
    assert (limited.returncode, limited.stdout) == (on_disk.returncode, on_disk.stdout)
    assert INCOMPLETE in limited.stderr
    assert (tmp_path / "limited").read_bytes() == (tmp_path / "disk").read_bytes()


@pytest.mark.parametrize("where", [0.02, 0.5, 0.9999])
def test_an_elf_dump_describes_the_segments_that_are_whole(
    where: float, machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "whole", 0, elf=True)
    done = _run(int((tmp_path / "whole").stat().st_size * where), "-Ed0", vmcore, tmp_path / "dump")
    assert (done.returncode, INCOMPLETE in done.stderr) == (1, True)
    with open_dump(tmp_path / "whole") as whole, open_dump(tmp_path / "dump") as left:
        assert isinstance(whole, ElfDump)
        assert isinstance(left, ElfDump)
        assert left.incomplete
        assert not whole.incomplete
        fits = [load for load in whole.loads if load.offset + load.filesz <= left.source.size]
        assert list(left.loads) == fits
        assert len(fits) < len(whole.loads)
        for load in left.loads:
            assert left.read(load.paddr, load.filesz) == whole.read(load.paddr, load.filesz)


def test_the_next_level_of_the_list_is_tried(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "want", 31)
    limit = (tmp_path / "want").stat().st_size
    done = _run(limit, "-d", "11,31", "--message-level", "23", vmcore, tmp_path / "dump")
    assert done.returncode == 0
    assert "\nRetry to create a dumpfile by dump_level(31).\n" in done.stdout
    assert done.stdout.endswith("\nmakedumpfile Completed.\n")
    assert INCOMPLETE not in done.stderr
    assert (tmp_path / "dump").read_bytes() == (tmp_path / "want").read_bytes()


def test_free_pages_are_left_out_by_a_retry_whose_first_level_has_no_16(
    machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = machine
    report = dump_of(core, vmcore, tmp_path / "want", 31)
    done = _run((tmp_path / "want").stat().st_size, "-d8,31", "--show-stats", vmcore, tmp_path / "dump")
    assert f"Free pages              : 0x{report.free:016x}\n" in done.stdout


def test_the_last_level_that_does_not_fit_leaves_an_incomplete_dump(
    machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    done = _run(400_000, "-d0,11,31", machine[1], tmp_path / "dump")
    assert done.returncode == 1
    assert done.stdout.count("Retry to create a dumpfile by dump_level(") == 2
    assert INCOMPLETE in done.stderr
    dump = DumpFile(tmp_path / "dump")
    assert (dump.sub["dump_level"], dump.main["status"] & 8) == (31, 8)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("form", ["-cd0", "-Ed0"])
def test_a_run_that_is_killed_in_the_middle_leaves_an_incomplete_dump(
    number: signal.Signals, form: str, machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    path = tmp_path / "dump"
    # Reading the pages to copy is slowed down, so that there is a middle.
    slow = (
        "import sys, time\nfrom mdf.core.dumps.source import Source\nfrom mdf.capture.cli import main\n"
        "read = Source.read_into\n"
        "def read_into(self, offset, buffer, what):\n"
        "    time.sleep(0.1 if len(buffer) > 1 << 19 else 0)\n"
        "    read(self, offset, buffer, what)\n"
        "Source.read_into = read_into\n"
        "sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow, form, str(machine[1]), str(path)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a job in the background ignores is not ignored here.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size > 1 << 20) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in err
    assert "Completed" not in out
    status = struct.unpack_from("<I", path.read_bytes(), 424 if form == "-cd0" else 48)[0]
    assert status & (8 if form == "-cd0" else 1)
    if form == "-Ed0":
        with open_dump(machine[1]) as whole, open_dump(path) as left:
            assert isinstance(left, ElfDump)
            assert left.loads
            assert all(left.read(load.paddr, load.filesz) == whole.read(load.paddr, load.filesz) for load in left.loads)


# Mounts a small file system, runs a command on it, and brings out what it left there.
ON_SMALL_DISK = """
mount -t tmpfs -o size="$1" tmpfs "$2" || exit 99
disk=$2 out=$3
shift 3
"$@"
status=$?
cp "$disk"/* "$out"
exit $status
"""


def _on_small_disk(size: int, folder: Path, *arguments: str | Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Runs the command with the dump on a file system of `size` bytes; returns where that file is now."""
    disk, out = folder / "disk", folder / "out"
    disk.mkdir()
    out.mkdir()
    private = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run([*private, "mount", "-t", "tmpfs", "tmpfs", disk], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not allowed here")
    words: list[str | Path] = [
        *private,
        "sh",
        "-c",
        ON_SMALL_DISK,
        "sh",
        str(size),
        disk,
        out,
        *command(*arguments, disk / "dump"),
    ]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode != 99, done.stderr
    return done, out / "dump"


@pytest.mark.parametrize(("options", "flags", "bit"), [("-d31", 424, 8), ("-Ed31", 48, 1)])
def test_a_file_system_that_is_really_full_leaves_an_incomplete_dump(
    options: str, flags: int, bit: int, machine: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "whole", 31, elf=options == "-Ed31")
    size = (tmp_path / "whole").stat().st_size // 8192 * 4096
    done, left = _on_small_disk(size, tmp_path, options, vmcore)
    assert (done.returncode, INCOMPLETE in done.stderr) == (1, True)
    assert "No space left on device" in done.stderr
    assert struct.unpack_from("<I", left.read_bytes(), flags)[0] & bit
    with open_dump(left) as dump, open_dump(tmp_path / "whole") as whole:
        assert dump.incomplete
        runs = dump.stored(dump.present(dump.max_mapnr, Place(), partial_tail=False)).runs()
        pfns = [pfn for start, end in runs for pfn in range(start, end)]
        assert pfns
        assert all(dump.read(pfn << 12, 4096) == whole.read(pfn << 12, 4096) for pfn in pfns)


def test_the_next_level_fits_on_the_file_system_that_was_full(machine: tuple[Vmcore, Path], tmp_path: Path) -> None:
    core, vmcore = machine
    dump_of(core, vmcore, tmp_path / "want", 31)
    size = (tmp_path / "want").stat().st_size + 65536
    done, dump = _on_small_disk(size, tmp_path, "-d11,31", vmcore)
    assert done.returncode == 0, done.stderr
    assert "\nRetry to create a dumpfile by dump_level(31).\n" in done.stdout
    assert dump.read_bytes() == (tmp_path / "want").read_bytes()


@pytest.fixture(scope="module")
def mostly_zeros(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vmcore, Path]:
    """Zeros up to the page frame 0x2000, then 2 MiB of data, then zeros up to 2 MiB of data at 0x3000, and again."""
    data = Kernel(order=9, content=Content.RANDOM)
    pages = (place(0x2000, data), place(0x3000, data))
    core = build(Spec(ram=(Ram(1 * MIB, 64 * MIB),), pages=pages, default_content=Content.ZERO))
    return core, core.elf(tmp_path_factory.mktemp("zeros") / "vmcore")


@pytest.mark.parametrize("pfn", [0x1800, 0x2100, 0x2A00, 0x3000, 0x3FFF], ids=hex)
def test_a_disk_that_is_full_in_or_behind_a_hole_has_all_that_fits(
    pfn: int, mostly_zeros: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = mostly_zeros
    dump_of(core, vmcore, tmp_path / "whole", 0)
    whole = DumpFile(tmp_path / "whole")
    limit = whole.descriptors[pfn].offset + 1000
    done = _run(limit, "-d0", vmcore, tmp_path / "dump")
    assert (done.returncode, INCOMPLETE in done.stderr) == (1, True)
    left = DumpFile(tmp_path / "dump")
    assert left.data[whole.data_offset :] == whole.data[whole.data_offset : limit]
    assert [number for number in left.pfns if left.descriptors[number].offset] == [
        number for number in whole.pfns if number < pfn
    ]
    limited = _run(resource.RLIM_INFINITY, "-d0", "-L", str(limit), vmcore, tmp_path / "limited")
    assert (limited.returncode, limited.stdout) == (done.returncode, done.stdout)
    assert (tmp_path / "limited").read_bytes() == left.data


@pytest.mark.parametrize("options", ["-d0", "-Ed0"])
def test_a_dump_of_mostly_zeros_fits_on_a_file_system_without_room_for_them(
    options: str, mostly_zeros: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = mostly_zeros
    dump_of(core, vmcore, tmp_path / "want", 0, elf=options == "-Ed0")
    done, dump = _on_small_disk(16 * MIB, tmp_path, options, vmcore)
    assert done.returncode == 0, done.stderr
    assert dump.read_bytes() == (tmp_path / "want").read_bytes()


def test_a_file_system_that_is_full_behind_a_hole_leaves_an_incomplete_dump(
    mostly_zeros: tuple[Vmcore, Path], tmp_path: Path
) -> None:
    core, vmcore = mostly_zeros
    dump_of(core, vmcore, tmp_path / "want", 0)
    room = (tmp_path / "want").stat().st_blocks * 512 - MIB
    done, left = _on_small_disk(room // 4096 * 4096, tmp_path, "-d0", vmcore)
    assert (done.returncode, INCOMPLETE in done.stderr) == (1, True)
    assert "No space left on device" in done.stderr
    dump = DumpFile(left)
    assert dump.main["status"] & 8
    there = [pfn for pfn in dump.pfns if dump.descriptors[pfn].offset]
    assert 0x3000 <= there[-1] < 0x3200
    assert there == [pfn for pfn in dump.pfns if pfn <= there[-1]]
    assert all(dump.page(pfn) == core.page(pfn) for pfn in there)
