# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections of a kernel's ELF file: found in any form, checked before they are read; BTF needs no other package."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from debuginfo import Dwarf, Elf, Order, Struct, btf
from mdf.core.debuginfo.find import find
from mdf.core.debuginfo.sections import SHT_SYMTAB, Sections
from mdf.core.errors import FormatError, MissingPackageError, UnsupportedError
from mdf.core.formats.elf import ElfHeader

PAGE = Struct("page", 64, members=[])
KERNEL = {".BTF": btf([PAGE])}


def sections(path: Path, data: bytes) -> Sections:
    path.write_bytes(data)
    return Sections(path.open("rb"), ElfHeader.parse(data[:64]))


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("bits", [32, 64])
def test_sections_are_found_by_name_and_type_in_any_form(bits: int, order: Order, tmp_path: Path) -> None:
    data = Elf(KERNEL, {"max_pfn": (0x1000, 8)}, bits=bits, order=order).build()
    found = sections(tmp_path / "vmlinux", data)
    section = found.named(".BTF")
    assert section is not None
    assert found.data(section) == KERNEL[".BTF"]
    assert found.data(section, 2, 4) == KERNEL[".BTF"][2:6]
    [symbols] = found.of_type(SHT_SYMTAB)
    assert found.linked(symbols).name == ".strtab"
    assert found.named(".absent") is None


def test_more_sections_than_the_header_can_count_are_counted_in_the_first_one(tmp_path: Path) -> None:
    data = bytearray(Elf(KERNEL, {}).build())
    shoff, (shnum, shstrndx) = int.from_bytes(data[0x28:0x30], "little"), struct.unpack_from("<HH", data, 0x3C)
    struct.pack_into("<HH", data, 0x3C, 0, 0xFFFF)
    struct.pack_into("<Q", data, shoff + 32, shnum)
    struct.pack_into("<I", data, shoff + 40, shstrndx)
    assert sections(tmp_path / "vmlinux", bytes(data)).named(".BTF") is not None


@pytest.mark.parametrize(
    ("at", "layout", "value", "message"),
    [
        (0x28, "<Q", 1 << 40, "the first section header at byte 1099511627776 ends beyond the file's"),
        (0x3A, "<H", 40, "impossible section headers: 6 of 40 bytes"),
        (0x3C, "<H", 60000, "the 60000 section headers at byte"),
        (0x3E, "<H", 9, "impossible section headers: 6 of 64 bytes, names in 9"),
    ],
)
def test_impossible_headers_are_said(at: int, layout: str, value: int, message: str, tmp_path: Path) -> None:
    data = bytearray(Elf(KERNEL, {}).build())
    struct.pack_into(layout, data, at, value)
    with pytest.raises(FormatError) as caught:
        sections(tmp_path / "vmlinux", bytes(data))
    assert str(caught.value).startswith(message)


def test_a_compressed_section_other_than_dwarf_is_said(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    data = bytearray(Elf(KERNEL, {}).build())
    header = int.from_bytes(data[0x28:0x30], "little") + 2 * 64
    struct.pack_into("<Q", data, header + 8, 0x800)
    path.write_bytes(data)
    with pytest.raises(UnsupportedError, match=r"vmlinux: section \.BTF is compressed$"):
        find(path)


def test_only_dwarf_needs_another_package_and_its_absence_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "elftools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "elftools", None)
    path = tmp_path / "vmlinux"
    dwarf = Dwarf({"mm/page_alloc.c": [PAGE]}).sections()
    path.write_bytes(Elf({**KERNEL, **dwarf}, {}).build())
    assert find(path, dwarf_beside_btf=False).values["SIZE(page)"] == "64"
    for lacking in (dwarf, {**KERNEL, **dwarf}):
        path.write_bytes(Elf(lacking, {}).build())
        with pytest.raises(MissingPackageError, match=r"^Reading DWARF needs the package pyelftools\.$"):
            find(path)
