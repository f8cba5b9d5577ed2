# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a file through windows gives what reading it with system calls gives."""

import mmap
from pathlib import Path

import pytest

from factory import Spec, build
from mdf.core.dumps import open_dump, source, windows
from mdf.core.dumps.source import Source
from mdf.core.dumps.windows import WINDOW, Windows
from mdf.core.errors import FormatError

SIZE = 2 * WINDOW + 5000
EDGES = (0, 1, WINDOW - 3, WINDOW, 2 * WINDOW - 1, SIZE - 7)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(SIZE)
        for number, at in enumerate(EDGES):
            file.seek(at)
            file.write(b"%06d" % number)
    return path


@pytest.fixture
def mapped(path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setattr(source, "worth_mapping", lambda _: True)
    return Source(path)


@pytest.mark.parametrize(("offset", "size"), [(at, size) for at in EDGES for size in (1, 7)] + [(5, SIZE - 5)])
def test_bytes_within_and_across_windows_are_those_of_the_file(
    path: Path, mapped: Source, offset: int, size: int
) -> None:
    assert mapped.read(offset, size, "a test") == path.read_bytes()[offset : offset + size]


def test_the_end_of_the_file_is_an_error_through_a_window_too(mapped: Source) -> None:
    with pytest.raises(FormatError, match="a test needs 8 bytes"):
        mapped.read(SIZE - 7, 8, "a test")
    with pytest.raises(FormatError, match="a test needs 8 bytes"):
        mapped.read_into(SIZE - 7, memoryview(bytearray(8)), "a test")


def test_at_any_time_one_window_is_mapped(mapped: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    class Recorded(mmap.mmap):
        def __new__(cls, *arguments: int, **more: int) -> "Recorded":
            sizes.append(arguments[1])
            return super().__new__(cls, *arguments, **more)

    monkeypatch.setattr(mmap, "mmap", Recorded)
    for at in (0, 100, WINDOW, WINDOW + 4096, 2 * WINDOW):
        mapped.read(at, 50, "a test")
    assert sizes == [WINDOW, WINDOW, SIZE - 2 * WINDOW]


def test_a_file_that_cannot_be_mapped_is_read_without(
    path: Path, mapped: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def refuse(*arguments: int, **_: int) -> mmap.mmap:
        tries.append(arguments)
        raise OSError(19, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    for at in EDGES:
        assert mapped.read(at, 7, "a test") == path.read_bytes()[at : at + 7]
    assert len(tries) == 1


def test_files_of_proc_are_mapped_and_files_on_a_disk_are_not(path: Path) -> None:
    with path.open("rb") as file:
        assert not windows.worth_mapping(file.fileno())
    kcore = Path("/proc/kcore")
    try:
        file = kcore.open("rb")
    except OSError:
        pytest.skip("/proc/kcore can't be opened here")
    with file:
        assert windows.worth_mapping(file.fileno())


@pytest.mark.parametrize("mapped", [True, False])
def test_a_dump_is_read_through_windows_only_if_it_may_be_mapped(
    mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Windows] = []

    def counted(fd: int, size: int) -> Windows:
        made.append(Windows(fd, size))
        return made[-1]

    monkeypatch.setattr(source, "worth_mapping", lambda fd: True)
    monkeypatch.setattr(source, "Windows", counted)
    core = build(Spec())
    with open_dump(core.elf(tmp_path / "vmcore"), mapped=mapped) as dump:
        pfn = core.ram_pfns[20]
        assert dump.read(pfn * core.page_size, core.page_size) == core.page(pfn)
    assert bool(made) is mapped
