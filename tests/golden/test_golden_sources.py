# SPDX-License-Identifier: GPL-2.0-or-later
"""Real vmcores with kernel information from the vmcore, a text (-i) and a vmlinux (-x): the same dumps and logs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus import corpus, dmesg, expected, unpacked, vmcore
from judges.fetch import vmlinux
from makedumpfile.__main__ import main

ITEM, OTHER = "x86_64-6.1-kdump", "x86_64-7.2-kdump"
SOURCES = ("reference's text", "own text", "vmlinux", "debug package")
DUMPS = [("levels", "0"), ("levels", "1"), ("levels", "16"), ("levels", "31"), ("elf", "1"), ("elf", "31")]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def dumpfile(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "dump"
    yield path
    path.unlink(missing_ok=True)  # Hundreds of megabytes each.


def arguments(source: str, folder: Path, item: str = ITEM) -> list[str]:
    """The options for a source of kernel information of one item."""
    if source == "vmlinux":
        return ["-x", str(unpacked(item, "vmlinux"))]
    if source == "debug package":
        path = vmlinux(item)
        if path is None:
            pytest.skip(f"no debug package of {item}: python tests/judges/fetch.py gets it")
        return ["-x", str(path)]
    if source == "own text":
        text = folder / "vmcoreinfo"
        assert main(["-g", str(text), "-x", str(unpacked(item, "vmlinux"))]) == 0
        return ["-i", str(text)]
    return ["-i", str(corpus() / item / "vmcoreinfo-g.txt")]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize(("kind", "level"), DUMPS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_dump_is_the_references_whatever_the_source(
    source: str, kind: str, level: str, dumpfile: Path, tmp_path: Path
) -> None:
    elf = ["-E"] if kind == "elf" else []
    given = arguments(source, tmp_path)
    assert main([*elf, "-d", level, *given, str(vmcore(ITEM)), str(dumpfile)]) == 0
    assert sha256(dumpfile) == expected(ITEM)[kind][level]["sha256"]


@pytest.mark.parametrize("source", SOURCES)
def test_a_compressed_dump_is_the_same_whatever_the_source(source: str, dumpfile: Path, tmp_path: Path) -> None:
    assert main(["-c", "-d", "31", str(vmcore(ITEM)), str(dumpfile)]) == 0
    plain = sha256(dumpfile)
    assert main(["-c", "-f", "-d", "31", *arguments(source, tmp_path), str(vmcore(ITEM)), str(dumpfile)]) == 0
    assert sha256(dumpfile) == plain


@pytest.mark.parametrize("source", ["own text", "vmlinux"])
def test_a_split_dump_and_a_translation_are_the_same_whatever_the_source(
    source: str, tmp_path: Path, capfd: Output
) -> None:
    parts = [tmp_path / "part1", tmp_path / "part2"]
    said, written = [], []
    for given in ([], arguments(source, tmp_path)):
        capfd.readouterr()
        vtop = ["--vtop", "0xffffffffa2000000"]
        command = ["--message-level", "2", "-f", "-d", "31", "--splitblock-size", "65536", *vtop, "--split", *given]
        assert main([*command, str(vmcore(ITEM)), *map(str, parts)]) == 0
        said.append(capfd.readouterr().out)
        written.append([sha256(part) for part in parts])
    assert "VIRTUAL           PHYSICAL\n" in said[0]
    assert said[0] == said[1]
    assert written[0] == written[1]


def test_a_dump_of_the_newest_kernel_is_the_references_by_its_vmlinux(dumpfile: Path, tmp_path: Path) -> None:
    given = arguments("debug package", tmp_path, OTHER)
    assert main(["-d", "31", *given, str(vmcore(OTHER)), str(dumpfile)]) == 0
    assert sha256(dumpfile) == expected(OTHER)["levels"]["31"]["sha256"]


@pytest.mark.parametrize("source", SOURCES)
def test_the_log_is_the_references_whatever_the_source(source: str, tmp_path: Path) -> None:
    given = arguments(source, tmp_path)
    assert main(["--dump-dmesg", *given, str(vmcore(ITEM)), str(tmp_path / "log")]) == 0
    assert (tmp_path / "log").read_bytes() == dmesg(ITEM)


@pytest.mark.parametrize("mode", [["-d", "31"], ["-d", "0"], ["--dump-dmesg"], ["--split"]])
@pytest.mark.parametrize("source", SOURCES)
def test_the_source_of_another_kernel_ends_with_status_2_and_no_file(
    source: str, mode: list[str], tmp_path: Path, capfd: Output
) -> None:
    outputs = [tmp_path / "a", tmp_path / "b"][: 1 + (mode == ["--split"])]
    given = arguments(source, tmp_path)
    capfd.readouterr()
    assert main([*mode, *given, str(vmcore(OTHER)), *map(str, outputs)]) == 2
    [line, hint] = capfd.readouterr().err.splitlines()
    assert line == f"{given[1]} and {vmcore(OTHER)} don't match."
    assert "6.1.0-56-amd64" in hint
    assert "7.2.13+deb14-cloud-amd64" in hint
    assert not any(path.exists() for path in outputs)


def test_a_vmlinux_of_another_build_is_another_kernel_although_the_release_is_the_same(
    tmp_path: Path, capfd: Output
) -> None:
    build_id = bytes.fromhex("eb4fbcd037e7253717950bf2b93bd5566f47c56f")
    data = unpacked(ITEM, "vmlinux").read_bytes()
    other = tmp_path / "vmlinux"
    other.write_bytes(data.replace(build_id, bytes(20)))
    assert main(["-d", "31", "-x", str(other), str(vmcore(ITEM)), str(tmp_path / "dump")]) == 2
    assert f"(build-id {bytes(20).hex()}, not {build_id.hex()})" in capfd.readouterr().err
    assert not (tmp_path / "dump").exists()
