# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of bad input: one clear line, its status, and nothing left that looks like a good dump."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from captures import command
from children import environment
from factory import MIB, ElfStyle, KdumpStyle, Note, Ram, Spec, Vmcore, build, flatten, random_layout
from mdf.capture.cli import main
from mdf.core.dumps.codecs import DEFLATES, LIBLZO2

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 8 * MIB))
TRY_HELP = "Commandline parameter is invalid.\nTry `makedumpfile --help' for more information.\n"
FAILED = "\nmakedumpfile Failed.\n"


@pytest.fixture(scope="module")
def machine() -> Vmcore:
    return build(random_layout(Spec(ram=SMALL), seed=13))


@pytest.fixture
def vmcore(machine: Vmcore, tmp_path: Path) -> Path:
    return machine.elf(tmp_path / "vmcore")


@pytest.fixture
def failing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command, which must fail in good form without a dump; gives its lines on standard error."""

    def run(*arguments: object, output: bool = False, hint: bool = False) -> str:
        assert main([*map(str, arguments), str(tmp_path / "dump")]) == 1
        out, err = capsys.readouterr()
        assert out.endswith(FAILED)
        assert "Traceback" not in err
        assert (tmp_path / "dump").exists() == output
        assert len(err.splitlines()) == 1 + hint, err
        return err

    return run


def _patch(path: Path, at: int, code: str, *values: int) -> Path:
    data = bytearray(path.read_bytes())
    struct.pack_into(code, data, at, *values)
    path.write_bytes(data)
    return path


def _cut(path: Path, size: int) -> Path:
    os.truncate(path, size)
    return path


@pytest.mark.parametrize(
    "content", [b"", b"\x7f", b"\x7fELF", b"hello, world\n" * 1000, bytes(8192), b"DISKDUMP" + bytes(8192)], ids=repr
)
def test_a_file_that_is_no_vmcore(content: bytes, tmp_path: Path, failing: Callable[..., str]) -> None:
    (tmp_path / "vmcore").write_bytes(content)
    err = failing("-d31", tmp_path / "vmcore", hint=True)
    assert f"{tmp_path / 'vmcore'}: Can't get valid ehdr: " in err
    assert "A dump is an ELF vmcore" in err


@pytest.mark.parametrize("missing", [1, 16, 100_000])
def test_a_flattened_stream_without_its_end(
    missing: int, machine: Vmcore, tmp_path: Path, failing: Callable[..., str]
) -> None:
    (tmp_path / "vmcore").write_bytes(flatten(machine.kdump(tmp_path / "kdump"))[:-missing])
    assert "without its end" in failing("-d31", tmp_path / "vmcore", hint=True)


@pytest.mark.parametrize("size", [17, 40, 63, 64, 100, 64 + 56, 64 + 4 * 56 - 1])
def test_a_vmcore_that_is_truncated_in_its_headers(size: int, vmcore: Path, failing: Callable[..., str]) -> None:
    err = failing("-d31", _cut(vmcore, size), hint=size < 64)
    assert "truncated in" in err


@pytest.mark.parametrize("behind", [0, 5, 500, 2000])
def test_a_vmcore_that_is_truncated_in_its_notes(behind: int, vmcore: Path, failing: Callable[..., str]) -> None:
    notes = struct.unpack_from("<Q", vmcore.read_bytes(), 64 + 8)[0]
    assert "is truncated: PT_" in failing("-d31", _cut(vmcore, notes + behind))


@pytest.mark.parametrize("missing", [1, 4096, 3 * MIB])
def test_a_vmcore_that_is_truncated_in_a_segment(missing: int, vmcore: Path, failing: Callable[..., str]) -> None:
    err = failing("-d31", _cut(vmcore, vmcore.stat().st_size - missing))
    assert "is truncated: PT_LOAD 2 ends at " in err


@pytest.mark.parametrize(("type_", "text"), [(1, "Can't get the number of PT_LOAD"), (4, "Can't find a PT_NOTE Phdr")])
def test_a_vmcore_without_segments_or_notes(
    type_: int, text: str, vmcore: Path, machine: Vmcore, failing: Callable[..., str]
) -> None:
    for index in range(1 + len(machine.segments)):
        at = 64 + 56 * index
        if struct.unpack_from("<I", vmcore.read_bytes(), at)[0] == type_:
            _patch(vmcore, at, "<I", 0)
    assert text in failing("-d31", vmcore)


@pytest.mark.parametrize(
    ("at", "code", "value"),
    [
        pytest.param(32, "<Q", 1 << 63, id="e_phoff"),
        pytest.param(54, "<H", 8, id="e_phentsize"),
        pytest.param(56, "<H", 0xFFFE, id="e_phnum"),
        pytest.param(56, "<H", 0xFFFF, id="e_phnum without a section header"),
        pytest.param(64 + 8, "<Q", (1 << 64) - 1, id="p_offset of the notes"),
        pytest.param(64 + 32, "<Q", 1 << 62, id="p_filesz of the notes"),
        pytest.param(64 + 112 + 8, "<Q", (1 << 64) - 4096, id="p_offset of a segment"),
        pytest.param(64 + 112 + 32, "<Q", 1 << 63, id="p_filesz of a segment"),
        pytest.param(64 + 112 + 40, "<Q", 1 << 62, id="p_memsz of a segment"),
        pytest.param(64 + 112 + 24, "<Q", 1 << 55, id="p_paddr of a segment"),
    ],
)
def test_impossible_sizes_and_offsets(
    at: int, code: str, value: int, vmcore: Path, failing: Callable[..., str]
) -> None:
    assert str(vmcore) in failing("-d31", _patch(vmcore, at, code, value))


@pytest.mark.parametrize(("field", "value"), [(0, 1 << 31), (4, 0xFFFFFFFF), (4, 1 << 20)])
def test_a_note_that_reaches_beyond_its_segment(
    field: int, value: int, vmcore: Path, failing: Callable[..., str]
) -> None:
    notes = struct.unpack_from("<Q", vmcore.read_bytes(), 64 + 8)[0]
    assert "truncated in the note at byte 0" in failing("-d31", _patch(vmcore, notes + field, "<I", value))


@pytest.mark.parametrize("size", [8, 200, 463, 4096, 4150, 6000, 9000, 20000])
def test_a_kdump_compressed_dump_that_is_truncated(
    size: int, machine: Vmcore, tmp_path: Path, failing: Callable[..., str]
) -> None:
    vmcore = machine.kdump(tmp_path / "vmcore")
    assert "truncated" in failing("-d31", _cut(vmcore, size))


@pytest.mark.parametrize(
    ("at", "code", "value", "text"),
    [
        pytest.param(428, "<i", 12345, "impossible sizes", id="block_size"),
        pytest.param(432, "<i", -1, "impossible sizes", id="sub_hdr_size"),
        pytest.param(436, "<I", 0, "impossible sizes", id="bitmap_blocks"),
        pytest.param(8, "<i", 7, "version 7 is not supported", id="header_version 7"),
        pytest.param(8, "<i", 0, "version 0 is not supported", id="header_version 0"),
        pytest.param(4096 + 96, "<Q", 1 << 60, "impossible size", id="max_mapnr_64"),
        pytest.param(4096 + 96, "<Q", 1 << 20, "bitmaps are too small", id="max_mapnr_64 beyond the bitmaps"),
        pytest.param(4096 + 48, "<q", -5, "impossible size", id="offset_note"),
        pytest.param(4096 + 56, "<Q", 1 << 50, "impossible size", id="size_note"),
        pytest.param(4096 + 40, "<Q", 1 << 63, "impossible size", id="size_vmcoreinfo"),
        pytest.param(4096 + 32, "<q", 1 << 40, "is truncated", id="offset_vmcoreinfo"),
    ],
)
def test_impossible_headers_of_a_kdump_compressed_dump(
    at: int, code: str, value: int, text: str, machine: Vmcore, tmp_path: Path, failing: Callable[..., str]
) -> None:
    vmcore = _patch(machine.kdump(tmp_path / "vmcore"), at, code, value)
    assert text in failing("-d31", vmcore)


@pytest.mark.parametrize(
    ("field", "code", "value"), [(0, "<q", 1 << 60), (0, "<q", -8), (8, "<I", 4097), (8, "<I", 100), (12, "<I", 0x40)]
)
def test_a_damaged_page_descriptor_ends_in_a_dump_that_says_it_is_incomplete(
    field: int, code: str, value: int, machine: Vmcore, tmp_path: Path, failing: Callable[..., str]
) -> None:
    vmcore = machine.kdump(tmp_path / "vmcore")
    block, sub_blocks, bitmap_blocks = struct.unpack_from("<iiI", vmcore.read_bytes(), 428)
    first = (1 + sub_blocks + bitmap_blocks) * block
    assert main(["--message-level", "0", "-d0", str(_patch(vmcore, first + field, code, value)), str(tmp_path / "out")])
    status = struct.unpack_from("<I", (tmp_path / "out").read_bytes(), 424)[0]
    assert status & 8


def test_a_damaged_compressed_page_is_named(
    machine: Vmcore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vmcore = machine.kdump(tmp_path / "vmcore", KdumpStyle(zlib=True))
    data = bytearray(vmcore.read_bytes())
    data[-3000:] = bytes(3000)
    vmcore.write_bytes(data)
    assert main(["-d0", str(vmcore), str(tmp_path / "dump")]) == 1
    err = capsys.readouterr().err
    assert "The data of page 0x7" in err
    assert "is damaged" in err
    assert struct.unpack_from("<I", (tmp_path / "dump").read_bytes(), 424)[0] & 8


def test_an_existing_dumpfile_stays_untouched_without_f(
    vmcore: Path, tmp_path: Path, failing: Callable[..., str]
) -> None:
    (tmp_path / "dump").write_bytes(b"precious")
    for vmcore_ in (vmcore, tmp_path / "missing"):
        err = failing("-d31", vmcore_, output=True, hint=True)
        assert f"Can't open the dump file ({tmp_path / 'dump'}). File exists\n" in err
    assert (tmp_path / "dump").read_bytes() == b"precious"


def test_the_vmcore_itself_is_never_overwritten(
    vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = vmcore.read_bytes()
    (tmp_path / "link").symlink_to(vmcore)
    for output in (vmcore, tmp_path / "link"):
        assert main(["-f", "-d31", str(vmcore), str(output)]) == 1
    assert capsys.readouterr().err.count("It is the VMCORE itself.") == 2
    assert vmcore.read_bytes() == before


def test_a_missing_vmcore(tmp_path: Path, failing: Callable[..., str]) -> None:
    err = failing("-d31", tmp_path / "missing")
    assert err == f"Can't open the dump memory({tmp_path / 'missing'}). No such file or directory\n"


def test_a_vmcore_that_may_not_be_read(
    vmcore: Path, failing: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ = os.open

    def refuse(path: Path, *arguments: int) -> int:
        if path == vmcore:  # Root may read everything, whatever the mode.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return open_(path, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    assert failing("-d31", vmcore) == f"Can't open the dump memory({vmcore}). Permission denied\n"


def test_a_disk_that_fails_while_pages_are_copied_leaves_an_incomplete_dump(
    vmcore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    preadv = os.preadv

    def fail(fd: int, buffers: list[memoryview], offset: int) -> int:
        if offset > 4 * MIB and (tmp_path / "dump").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", fail)
    assert main(["--message-level=4", "-d0", str(vmcore), str(tmp_path / "dump")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"{tmp_path / 'dump'} is not complete, and shows it."
    assert lines[1].startswith(f"Can't read the dump memory({vmcore}) at 0x")
    assert lines[1].endswith(". Input/output error")
    assert struct.unpack_from("<I", (tmp_path / "dump").read_bytes(), 424)[0] & 8


def test_a_directory_as_vmcore(tmp_path: Path, failing: Callable[..., str]) -> None:
    err = failing("-d31", tmp_path)
    assert f"the dump memory({tmp_path})" in err
    assert "Is a directory" in err


def test_a_pipe_as_vmcore(tmp_path: Path, failing: Callable[..., str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert "save a stream to a file first" in failing("-d31", tmp_path / "pipe", hint=True)
    finally:
        os.close(writer)


@pytest.mark.parametrize("output", ["missing/dump", "vmcore/dump", "."])
def test_a_dumpfile_that_cannot_be_made(
    output: str, vmcore: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for force in ([], ["-f"]):
        assert main([*force, "-d31", str(vmcore), str(tmp_path / output)]) == 1
        out, err = capsys.readouterr()
        assert err.startswith(f"Can't open the dump file ({tmp_path / output})")
        assert out == FAILED


@pytest.mark.parametrize("levels", ["2", "31", "0,31", "1,8"])
def test_a_level_above_1_without_vmcoreinfo(levels: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vmcore = build(Spec(ram=SMALL, vmcoreinfo=False)).elf(tmp_path / "vmcore")
    assert main(["-d", levels, str(vmcore), str(tmp_path / "dump")]) == 1
    out, err = capsys.readouterr()
    assert f"{vmcore} doesn't contain vmcoreinfo.\n" in err
    assert "Specify '-x' option or '-i' option.\n" in out + err
    assert TRY_HELP in out + err
    assert out.endswith(FAILED)
    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize("level", ["0", "1"])
def test_levels_0_and_1_need_no_vmcoreinfo(level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vmcore = build(Spec(ram=SMALL, vmcoreinfo=False)).elf(tmp_path / "vmcore")
    assert main(["-d", level, str(vmcore), str(tmp_path / "dump")]) == 0
    assert capsys.readouterr().out.endswith("Completed.\n")


@pytest.mark.parametrize("level", ["0", "31"])
@pytest.mark.parametrize("machine_number", [0, 2, 4711])
def test_a_machine_that_is_not_supported(
    machine_number: int, level: str, tmp_path: Path, failing: Callable[..., str]
) -> None:
    core = build(Spec(arch="linear", machine=machine_number, ram=SMALL, linear_base=1 << 63))
    vmcore = core.elf(tmp_path / "vmcore")
    assert "are not supported." in failing("-d", level, vmcore, hint=True)


def test_a_dump_of_a_xen_hypervisor(tmp_path: Path, failing: Callable[..., str]) -> None:
    vmcore = build(Spec(ram=SMALL, notes=(Note("Xen", 0x1000001, bytes(80)),))).elf(tmp_path / "vmcore")
    assert "Xen" in failing("-d31", vmcore, hint=True)


@pytest.mark.parametrize(
    ("option", "modules", "package"),
    [
        ("-l", [LIBLZO2, "lzallright"], "lzallright"),
        ("-p", ["cramjam"], "cramjam"),
        ("-z", ["compression.zstd", "backports.zstd"], "backports.zstd"),
    ],
)
def test_a_codec_that_is_not_installed(
    option: str, modules: list[str], package: str, vmcore: Path, failing: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    err = failing(option, "-d31", vmcore, hint=True)
    assert "is not installed." in err
    assert f"pip install {package}" in err


def test_a_codec_that_the_dump_to_read_needs(
    machine: Vmcore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: Callable[..., str]
) -> None:
    for module in DEFLATES.values():
        monkeypatch.setitem(sys.modules, module, None)
    vmcore = machine.kdump(tmp_path / "vmcore", KdumpStyle(zlib=True))
    assert "The codec for zlib pages is not installed." in failing("-d31", vmcore, hint=True)


def test_elf_output_of_a_kdump_compressed_dump(
    machine: Vmcore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vmcore = machine.kdump(tmp_path / "vmcore")
    assert main(["-E", "-d31", str(vmcore), str(tmp_path / "dump")]) == 1
    out, err = capsys.readouterr()
    assert err == f"'-E' option is disabled, because {vmcore} is kdump compressed format.\n"
    assert out == TRY_HELP + FAILED
    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize("option", ["-d32", "-d-1", "--message-level=32", "-cE", "--num-threads=2 --split", "-Q"])
def test_arguments_that_cannot_be(option: str, vmcore: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*option.split(), str(vmcore), str(tmp_path / "dump")]) == 1
    out, _ = capfd.readouterr()
    assert "is invalid." in out
    assert out.endswith(FAILED)
    assert not (tmp_path / "dump").exists()


def test_memory_of_another_kernel_than_vmcoreinfo_says(tmp_path: Path, failing: Callable[..., str]) -> None:
    core = build(Spec(ram=SMALL))
    address = core.symbols["init_uts_ns"] - core.machine.image + core.machine.image_paddr
    core.machine.memory.write(address, b"\xff" * 390)
    assert "What should be the kernel's release" in failing("-d31", core.elf(tmp_path / "vmcore"), hint=True)


def test_the_process_says_the_same_and_has_the_status(vmcore: Path, tmp_path: Path) -> None:
    _cut(vmcore, 200_000)
    done = subprocess.run(
        command("-d31", vmcore, tmp_path / "dump"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout == FAILED
    assert "is truncated: PT_LOAD" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_headers_of_qemu_that_are_truncated(machine: Vmcore, tmp_path: Path, failing: Callable[..., str]) -> None:
    vmcore = machine.elf(tmp_path / "vmcore", ElfStyle(qemu=True))
    assert "truncated in its 3 program headers at 0xc0" in failing("-d31", _cut(vmcore, 0xC0 + 100))
