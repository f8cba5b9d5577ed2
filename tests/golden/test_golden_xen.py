# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps of a real Xen host: the reference's bytes where it is right, an independent reader's pages where it is not."""

from __future__ import annotations

import hashlib
import mmap
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from children import environment
from corpus import corpus, corpus_items, dmesg, expected, unpacked, vmcore
from mdf.core.dumps import KdumpFile, open_dump
from oracle.image import Image
from oracle.xen import XenImage, xen_info

ITEMS = corpus_items("xen")
# Domain 0's kernel is the same build.
KERNEL = "x86_64-6.1-kdump"
CASES = [(item, case) for item in ITEMS for case in expected(item)["cases"]]
PHYS_START, FRAME_TABLE = 0x1F800000, 0xFFFF82E000000000


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(*arguments: object, stdout: Any = subprocess.PIPE, status: int = 0) -> subprocess.CompletedProcess[bytes]:
    """The umbrella's command: it finds out by itself that a vmcore is a Xen host's."""
    command = [sys.executable, "-m", "makedumpfile", *map(str, arguments)]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == status, done.stderr.decode()
    return done


def stored(path: Path) -> list[tuple[int, int]]:
    with open_dump(path) as dump:
        assert isinstance(dump, KdumpFile)
        return list(dump.runs())


def test_there_is_an_item() -> None:
    assert CASES


@pytest.mark.parametrize(("item", "case"), CASES)
def test_with_the_page_states_it_knows_every_dump_is_the_references(item: str, case: str, tmp_path: Path) -> None:
    arguments = [
        {"vmlinux": str(unpacked(KERNEL, "vmlinux")), "xen-syms-4.20-amd64": str(unpacked(item, "xen-syms"))}.get(
            word, word
        )
        for word in case.split()
    ]
    if "-X" in arguments:
        arguments += ["--xen-page-state", "old"]
    run(*arguments, vmcore(item), tmp_path / "dump")
    answer = expected(item)["cases"][case]
    assert ((tmp_path / "dump").stat().st_size, sha256(tmp_path / "dump")) == (answer["size"], answer["sha256"])


@pytest.mark.parametrize("layout", ["old", "new"])
@pytest.mark.parametrize("item", ITEMS)
def test_an_independent_walk_of_the_frame_table_keeps_the_same_pages(item: str, layout: str, tmp_path: Path) -> None:
    asked = [] if layout == "new" else ["--xen-page-state", layout]  # New is what its pages show.
    done = run("-X", *asked, vmcore(item), tmp_path / "dump")
    assert f"Xen's page states have the {layout} layout" in done.stdout.decode()
    with vmcore(item).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        image = Image(data)
        host = XenImage(image, xen_info(image), PHYS_START, FRAME_TABLE)
        dom0 = host.dom0_owners()
        pages = {
            pfn
            for load in image.loads
            for pfn in range(load.paddr // 4096, -(-(load.paddr + load.memsz) // 4096))
            if host.kept(pfn, layout, dom0)
        }
    assert {pfn for start, end in stored(tmp_path / "dump") for pfn in range(start, end)} == pages


@pytest.mark.parametrize("item", ITEMS)
def test_free_pages_are_gone_and_counted(item: str, tmp_path: Path) -> None:
    run("-d0", vmcore(item), tmp_path / "all")
    text = run("-X", "--show-stats", vmcore(item), tmp_path / "dump").stdout.decode()
    left_out = [int(pages, 16) for pages in re.findall(r"Xen [a-z ]+ pages +: (0x[0-9a-f]+)", text)]
    assert len(left_out) == 2
    assert min(left_out) > 0
    count = [sum(end - start for start, end in stored(tmp_path / name)) for name in ("all", "dump")]
    assert sum(left_out) == count[0] - count[1]


@pytest.mark.parametrize("item", ITEMS)
def test_every_source_of_the_hypervisors_symbols_gives_the_same_dump(item: str, tmp_path: Path) -> None:
    text = tmp_path / "xen-vmcoreinfo"
    run("-g", text, "--xen-syms", unpacked(item, "xen-syms"))
    assert text.read_bytes() == (corpus() / item / "xen-vmcoreinfo-g.txt").read_bytes()
    dumps = []
    for name, *options in (
        ("note",),
        ("syms", "--xen-syms", unpacked(item, "xen-syms")),
        ("text", "--xen-vmcoreinfo", text),
        ("i", "-i", text),
    ):
        run("-X", "-d1", *options, vmcore(item), tmp_path / name)
        dumps.append(sha256(tmp_path / name))
        (tmp_path / name).unlink()
    assert len(set(dumps)) == 1


@pytest.mark.parametrize("item", ITEMS)
def test_sources_of_domain_0s_kernel_give_the_same_dump(item: str, tmp_path: Path) -> None:
    vmlinux, text = unpacked(KERNEL, "vmlinux"), tmp_path / "vmcoreinfo"
    run("-g", text, "-x", vmlinux)
    run("-X", "-d31", "-x", vmlinux, vmcore(item), tmp_path / "x")
    run("-X", "-d31", "-i", text, vmcore(item), tmp_path / "i")
    assert sha256(tmp_path / "x") == sha256(tmp_path / "i")


@pytest.mark.parametrize("item", ITEMS)
def test_filtering_again_and_more_gives_what_filtering_the_vmcore_gives(item: str, tmp_path: Path) -> None:
    first, again, direct = (tmp_path / name for name in ("first", "again", "direct"))
    vmlinux = unpacked(KERNEL, "vmlinux")
    run("-c", "-d1", vmcore(item), first)
    run("-X", "-d31", "-x", vmlinux, first, again)
    run("-X", "-d31", "-x", vmlinux, vmcore(item), direct)
    assert sha256(again) == sha256(direct)


@pytest.mark.parametrize("item", ITEMS)
def test_split_flattened_and_processes_give_the_same_dump(item: str, tmp_path: Path) -> None:
    direct, stream, other, several = (tmp_path / name for name in ("direct", "stream", "other", "several"))
    run("-X", "-d1", vmcore(item), direct)
    with stream.open("wb") as file:
        run("-F", "-X", "-d1", vmcore(item), stdout=file)
    with stream.open("rb") as file:
        command = [sys.executable, "-m", "makedumpfile", "-R", str(other)]
        subprocess.run(command, stdin=file, check=True, env=environment(), stdout=subprocess.DEVNULL)
    assert sha256(other) == sha256(direct)
    other.unlink()
    run("--split", "-X", "-d1", "--splitblock-size", 4096, vmcore(item), tmp_path / "one", tmp_path / "two")
    run("--reassemble", tmp_path / "two", tmp_path / "one", other)
    assert sha256(other) == sha256(direct)
    run("-c", "-X", "-d1", vmcore(item), tmp_path / "single")
    run("-c", "-X", "-d1", "--num-threads", 2, vmcore(item), several)
    assert sha256(several) == sha256(tmp_path / "single")


@pytest.mark.parametrize("item", ITEMS)
def test_the_log_of_domain_0_is_the_references(item: str, tmp_path: Path) -> None:
    run("--dump-dmesg", "-x", unpacked(KERNEL, "vmlinux"), vmcore(item), tmp_path / "log")
    assert (tmp_path / "log").read_bytes() == dmesg(item)


@pytest.mark.parametrize("item", ITEMS)
def test_the_hypervisors_log_tells_its_boot_and_its_end(item: str, tmp_path: Path) -> None:
    run("--xen-dmesg", "--xen-syms", unpacked(item, "xen-syms"), vmcore(item), tmp_path / "log")
    lines = (tmp_path / "log").read_text().splitlines()
    assert any("Xen version 4.20" in line for line in lines)
    assert any("Domain 0 crashed" in line or "kexec" in line.lower() for line in lines[-20:]), lines[-20:]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
