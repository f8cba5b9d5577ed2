# SPDX-License-Identifier: GPL-2.0-or-later
"""With -x or -i, dumps are those that the kernel's own words would give, whatever its generation and machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from captures import dump_of
from factory import MIB, Lookup, Model, Ram, Spec, Vmcore, build, random_layout
from kernels import text_of, vmlinux_of
from mdf.capture.generations import PAGE_TYPES
from mdf.core.errors import MismatchError
from mdf.core.messages import Level, Messages

SMALL = (Ram(0x1000, 0x9F000), Ram(1 * MIB, 6 * MIB))
# A kernel of each row of the tables.
RELEASES = (
    "2.6.24", "2.6.32", "2.6.38", "2.6.39", "3.10.0", "4.4.0", "4.16.0", "4.18.0", "5.1.0", "6.1.0", "6.3.0", "6.6.0",
    "6.9.0", "6.10.0", "6.11.0", "6.12.0", "6.16.0", "7.2.0",
)  # fmt: skip
MACHINES = {
    "x86_64": Spec(kaslr=0x1F000000, root_pointer=True),
    "ppc64, big endian, 64 KiB": Spec(arch="linear", byteorder="big", page_shift=16, ram=(Ram(0, 40 * MIB),)),
    "ppc, big endian": Spec(arch="linear", bits=32, byteorder="big", model=Model.FLATMEM),
    "i386 with nodes": Spec(arch="linear", bits=32, model=Model.DISCONTIGMEM, nodes=((0, 1024), (1024, 1536))),
}


def needs_pyelftools() -> None:
    pytest.importorskip("elftools", reason="only DWARF needs pyelftools")


def by_dwarf(core: Vmcore, folder: Path) -> dict[str, Path]:
    needs_pyelftools()
    return {"vmlinux": vmlinux_of(core, folder / "vmlinux", "dwarf")}


WAYS: dict[str, Callable[[Vmcore, Path], dict[str, Path]]] = {
    "BTF": lambda core, folder: {"vmlinux": vmlinux_of(core, folder / "vmlinux")},
    "DWARF": by_dwarf,
    "text": lambda core, folder: {"vmcoreinfo": text_of(core, folder / "text")},
}


def dump(core: Vmcore, folder: Path, level: int, **options: Any) -> bytes:
    core.elf(folder / "vmcore")
    dump_of(core, folder / "vmcore", folder / "dump", level, **options)
    return (folder / "dump").read_bytes()


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("release", "way"),
    [("3.10.0", "DWARF"), ("3.10.0", "text"), ("6.1.0", "BTF"), ("6.12.0", "text"), ("6.12.0", "DWARF")],
)
def test_a_dump_is_the_same_whatever_says_what_the_kernel_is_like(
    release: str, way: str, machine: str, tmp_path: Path
) -> None:
    spec = replace(MACHINES[machine], release=release)
    spec = replace(spec, ram=SMALL) if spec.page_shift == 12 else spec
    core = build(random_layout(replace(spec, debuginfo=True), seed=3))
    options = WAYS[way](core, tmp_path)
    assert dump(core, tmp_path, 31, **options) == dump(core, tmp_path, 31)


# There is BTF since 5.2.
@pytest.mark.parametrize(
    ("release", "way"),
    [(release, "BTF" if at % 2 and release > "5.2" else "DWARF") for at, release in enumerate(RELEASES)],
)
def test_a_vmcore_that_says_nothing_is_filtered_as_one_that_says_all(release: str, way: str, tmp_path: Path) -> None:
    physmem = 40 if release == "2.6.24" else None
    machine = Spec(release=release, ram=SMALL, max_physmem_bits=physmem, lookup=Lookup.CONTIG_PAGE_DATA)
    spec = random_layout(replace(machine, debuginfo=True), seed=5)
    full, silent = build(spec), build(replace(spec, vmcoreinfo=False))
    options = WAYS[way](full, tmp_path)
    assert bitmaps(silent, tmp_path, 31, **options) == bitmaps(full, tmp_path, 31)


def bitmaps(core: Vmcore, folder: Path, level: int, **options: Any) -> bytes:
    """Both bitmaps of the dump."""
    data = dump(core, folder, level, **options)
    sub_header, blocks = int.from_bytes(data[432:436], "little"), int.from_bytes(data[436:440], "little")
    start = (1 + sub_header) * core.page_size
    return data[start : start + blocks * core.page_size]


@pytest.mark.parametrize("types", PAGE_TYPES, ids=lambda types: str(types.since))
def test_the_table_of_page_types_is_what_kernels_of_these_releases_export(types: object, tmp_path: Path) -> None:
    release = types.since  # type: ignore[attr-defined]
    known = Spec(release=str(release)).generation.types
    for name in ("buddy", "offline", "hugetlb", "slab", "unaccepted"):
        value = getattr(types, name)
        assert (None if value is None else value & 0xFFFFFFFF) == getattr(known, name), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("silent", [False, True])
def test_another_kernels_is_refused_before_a_file_is_made(way: str, silent: bool, tmp_path: Path) -> None:
    core = build(Spec(ram=SMALL, vmcoreinfo=not silent))
    if way == "text":
        given = {"vmcoreinfo": text_of(core, tmp_path / "text", release="6.1.9")}
    else:
        if way == "DWARF":
            needs_pyelftools()
        given = {"vmlinux": vmlinux_of(core, tmp_path / "v", "btf" if way == "BTF" else "dwarf", release="6.1.9")}
    with pytest.raises(MismatchError, match="don't match") as caught:
        dump(core, tmp_path, 31, **given)
    assert caught.value.exit_code == 2
    assert "is of 6.1.9" in str(caught.value.hint)
    assert "6.1.0" in str(caught.value.hint)
    assert not (tmp_path / "dump").exists()


@pytest.mark.parametrize(("release", "lines"), [("7.2.0", 0), ("7.3.0", 3), ("9.0.0", 3), ("2.6.23", 2)])
def test_a_kernel_that_is_not_known_is_said(release: str, lines: int, tmp_path: Path) -> None:
    core = build(Spec(release=release, ram=SMALL))
    out = StringIO()
    messages = Messages(Level.COMMON, stdout=out)
    core.elf(tmp_path / "vmcore")
    dump_of(core, tmp_path / "vmcore", tmp_path / "dump", 31, messages)
    said = out.getvalue().splitlines()
    assert len(said) == lines
    if lines:
        assert said[:2] == [
            "The kernel version is not supported.",
            "The makedumpfile operation may be incomplete.",
        ]
    if lines == 3:
        assert said[2].startswith(
            f"Linux {release} is taken as 7.2, the newest known: if it marks its pages in another"
        )
        assert said[2].endswith("Checked: its memory map can be read, and it exports all that 7.2 does.")


def test_a_newer_kernel_that_exports_less_is_said_with_what_it_lacks(tmp_path: Path) -> None:
    lacking = ("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", "OFFSET(page.private)")
    core = build(Spec(release="8.0.0", ram=SMALL, without=lacking))
    out = StringIO()
    core.elf(tmp_path / "vmcore")
    dump_of(core, tmp_path / "vmcore", tmp_path / "dump", 8, Messages(Level.COMMON, stdout=out))
    assert out.getvalue().endswith(f"it doesn't export {lacking[1]}, {lacking[0]}.\n")
