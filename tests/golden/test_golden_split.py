# SPDX-License-Identifier: GPL-2.0-or-later
"""Split dumps of real vmcores: joined they are the reference's direct dump, and each file is the reference's file."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from corpus import corpus_items, dmesg, expected, vmcore
from makedumpfile.__main__ import main as makedumpfile
from mdf.capture import Options
from mdf.core.dumps import open_dump
from mdf.split.join import JoinOptions, reassemble
from mdf.split.options import SplitOptions
from mdf.split.run import split

pytestmark = pytest.mark.usefixtures("supported")
ITEMS = corpus_items()
# Those that the makedumpfile of an x86_64 machine reads.
READ_BY_REFERENCE = corpus_items("x86_64")
# Kernels that the makedumpfile of distributions knows.
OLD_ITEMS = [item for item in READ_BY_REFERENCE if item.startswith("x86_64-6.1")]
BLOCK = 4096  # KiB
MAKEDUMPFILE = shutil.which("makedumpfile")
needs_reference = pytest.mark.skipif(MAKEDUMPFILE is None, reason="makedumpfile is not installed")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def names(folder: Path, count: int) -> tuple[Path, ...]:
    return tuple(folder / f"part{number}" for number in range(count))


def reference(*arguments: str | Path) -> None:
    assert MAKEDUMPFILE
    subprocess.run([MAKEDUMPFILE, "--message-level", "0", *arguments], check=True)


@pytest.mark.parametrize("files", [2, 3, 7])
@pytest.mark.parametrize("item", ITEMS)
def test_the_files_joined_in_any_order_are_the_references_direct_dump(item: str, files: int, tmp_path: Path) -> None:
    parts = list(names(tmp_path, files))
    split(SplitOptions(Options(vmcore(item), dump_levels=(31,)), tuple(parts), BLOCK))
    random.Random(files).shuffle(parts)
    reassemble(JoinOptions(tuple(parts), tmp_path / "dump"))
    assert sha256(tmp_path / "dump") == expected(item)["levels"]["31"]["sha256"]


@needs_reference
@pytest.mark.parametrize(
    ("files", "options", "block"),
    [(2, "-d31", None), (2, "-d31", BLOCK), (3, "-d8", 4), (3, "-cd31", BLOCK), (7, "-d31", 65536)],
)
@pytest.mark.parametrize("item", OLD_ITEMS)
def test_each_file_is_the_references(
    item: str, files: int, options: str, block: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDF_DEFLATE", "zlib")
    dump = Options.from_argv([options, str(vmcore(item)), "-"])
    split(SplitOptions(dump, names(tmp_path, files), block))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    size = ["--splitblock-size", str(block)] if block else []
    reference("--split", options, *size, vmcore(item), *names(theirs, files))
    assert [sha256(path) for path in names(tmp_path, files)] == [sha256(path) for path in names(theirs, files)]


@needs_reference
@pytest.mark.parametrize("item", OLD_ITEMS)
def test_filtering_the_references_dump_again_gives_the_references_files(
    item: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDF_DEFLATE", "zlib")
    first, theirs = tmp_path / "first", tmp_path / "theirs"
    theirs.mkdir()
    reference("-cd3", vmcore(item), first)
    reference("--split", "-cd31", "--splitblock-size", str(BLOCK), first, *names(theirs, 3))
    dump = Options(first, dump_levels=(31,), compression="zlib")
    split(SplitOptions(dump, names(tmp_path, 3), BLOCK))
    assert [sha256(path) for path in names(tmp_path, 3)] == [sha256(path) for path in names(theirs, 3)]


@needs_reference
@pytest.mark.parametrize("files", [2, 3, 7])
@pytest.mark.parametrize("item", READ_BY_REFERENCE)
def test_the_reference_joins_our_files(item: str, files: int, tmp_path: Path) -> None:
    split(SplitOptions(Options(vmcore(item), dump_levels=(31,)), names(tmp_path, files), BLOCK))
    reference("--reassemble", *reversed(names(tmp_path, files)), tmp_path / "dump")
    assert sha256(tmp_path / "dump") == expected(item)["levels"]["31"]["sha256"]


@needs_reference
@pytest.mark.parametrize("files", [2, 3, 7])
@pytest.mark.parametrize("item", OLD_ITEMS)
def test_the_references_files_are_joined(item: str, files: int, tmp_path: Path) -> None:
    reference("--split", "-d31", "--splitblock-size", str(BLOCK), vmcore(item), *names(tmp_path, files))
    reassemble(JoinOptions(tuple(reversed(names(tmp_path, files))), tmp_path / "dump"))
    assert sha256(tmp_path / "dump") == expected(item)["levels"]["31"]["sha256"]


@pytest.mark.parametrize("item", ITEMS)
def test_the_files_are_one_dump_for_every_command(
    item: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split(SplitOptions(Options(vmcore(item), dump_levels=(1,)), names(tmp_path, 3), BLOCK))
    files = [f"--diskset={path}" for path in reversed(names(tmp_path, 3))]
    dump, log = tmp_path / "dump", tmp_path / "log"
    assert makedumpfile(["-d31", *files, str(dump)]) == 0
    assert sha256(dump) == expected(item)["levels"]["31"]["sha256"]
    assert makedumpfile(["--dump-dmesg", *files, str(log)]) == 0
    assert log.read_bytes() == dmesg(item)
    printed = []
    with open_dump(vmcore(item)) as memory:
        assert memory.info
        address = f"{memory.info.symbol('init_uts_ns'):#x}"
    for source in ([str(vmcore(item))], files):
        capsys.readouterr()
        assert makedumpfile(["--vtop", address, "--dry-run", "-f", *source, str(dump)]) == 0
        printed.append(capsys.readouterr().out.partition("PHYSICAL")[2].split("\n")[1])
    assert printed[0]
    assert printed[0] == printed[1]
