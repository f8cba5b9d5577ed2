# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that the factory writes, read back by a few lines that know only offsets."""

import struct
import zlib
from pathlib import Path

import pytest

from factory import ElfStyle, KdumpStyle, Model, Spec, Vmcore, build, flatten, random_layout
from factory.kdump import sub_header
from factory_selftest.helpers import SMALL, filled, set_bits
from oracle.image import open_image

LAYOUTS = {
    # member: offset with 64 bits, 32 bits packed, 32 bits padded
    "dump_level": (8, 4, 4),
    "split": (12, 8, 8),
    "start_pfn": (16, 12, 12),
    "end_pfn": (24, 16, 16),
    "offset_vmcoreinfo": (32, 20, 24),
    "size_vmcoreinfo": (40, 28, 32),
    "offset_note": (48, 32, 40),
    "size_note": (56, 40, 48),
    "offset_eraseinfo": (64, 44, 56),
    "size_eraseinfo": (72, 52, 64),
    "start_pfn_64": (80, 56, 72),
    "end_pfn_64": (88, 64, 80),
    "max_mapnr_64": (96, 72, 88),
}
KINDS = [(64, False), (32, False), (32, True)]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_member_of_the_sub_header_is_where_the_format_has_it(which: int, order: str) -> None:
    bits, padded = KINDS[which]
    for name, offsets in LAYOUTS.items():
        data = sub_header(KdumpStyle(padded=padded), bits, order, {name: 0x5A})
        width = (
            8
            if name.endswith("_64") or (name.startswith("offset"))
            else 4
            if name in ("dump_level", "split")
            else bits // 8
        )
        assert (
            int.from_bytes(data[offsets[which] : offsets[which] + width], "little" if order == "<" else "big") == 0x5A
        )
        assert len(data) == (104, 80, 96)[which]


@pytest.mark.parametrize(("version", "size"), [(1, 16), (2, 32), (3, 48), (4, 64), (5, 80), (6, 104)])
def test_the_sub_header_ends_with_its_version_s_last_member(version: int, size: int) -> None:
    assert len(sub_header(KdumpStyle(version=version), 64, "<", {})) == size


def pages_of_kdump(path: Path, bits: int, order: str) -> tuple[set[int], dict[int, bytes]]:
    data = path.read_bytes()
    block, sub, bitmaps = struct.unpack_from(f"{order}iiI", data, 428 if bits == 64 else 416)
    first = (1 + sub) * block
    half = bitmaps // 2 * block
    dumped = sorted(set_bits(data[first + half : first + 2 * half]))
    pages = {}
    for index, pfn in enumerate(dumped):
        offset, size, flags = struct.unpack_from(f"{order}qII", data, first + 2 * half + 24 * index)
        if offset:
            raw = data[offset : offset + size]
            pages[pfn] = zlib.decompress(raw) if flags & 1 else raw
    return set_bits(data[first : first + half]), pages


@pytest.mark.parametrize("version", range(1, 7))
@pytest.mark.parametrize(
    ("bits", "byteorder", "padded"),
    [(64, "little", False), (64, "big", False), (32, "little", False), (32, "little", True), (32, "big", True)],
)
def test_a_kdump_holds_exactly_the_pages_not_excluded(
    version: int, bits: int, byteorder: str, padded: bool, tmp_path: Path
) -> None:
    spec = Spec(arch="linear", bits=bits, byteorder=byteorder, model=Model.FLATMEM, ram=SMALL)  # type: ignore[arg-type]
    core = filled(spec)
    style = KdumpStyle(version=version, padded=padded, zlib=version % 2 == 0, level=1, excluded=core.excluded(30))
    path = core.kdump(tmp_path / "dump", style)
    present, pages = pages_of_kdump(path, bits, "<" if byteorder == "little" else ">")
    assert present == set(core.ram_pfns)
    assert set(pages) == present - core.excluded(30)
    assert all(page == core.page(pfn) for pfn, page in pages.items())


def test_a_part_of_a_split_dump_holds_its_range_and_the_whole_bitmaps(tmp_path: Path) -> None:
    core = build(Spec(ram=SMALL))
    present, pages = pages_of_kdump(core.kdump(tmp_path / "part", KdumpStyle(split=(0, 600))), 64, "<")
    assert present == set(core.ram_pfns)
    assert set(pages) == {pfn for pfn in present if pfn < 600}


def rearranged(stream: bytes) -> bytes:
    out, at = bytearray(), 4096
    while True:
        offset, size = struct.unpack_from(">qq", stream, at)
        if offset < 0:
            assert at + 16 == len(stream)
            return bytes(out)
        out.extend(bytes(max(0, offset + size - len(out))))
        out[offset : offset + size] = stream[at + 16 : at + 16 + size]
        at += 16 + size


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_flattened_stream_rearranges_to_the_file(shuffled: bool, tmp_path: Path) -> None:
    path = build(Spec(ram=SMALL)).kdump(tmp_path / "dump")
    stream = flatten(path, record=5000, shuffled=shuffled)
    assert stream[:16] == b"makedumpfile\0\0\0\0"
    assert rearranged(stream) == path.read_bytes()


@pytest.mark.parametrize(("byteorder", "bits"), [("little", 64), ("big", 64), ("little", 32), ("big", 32)])
def test_an_elf_vmcore_gives_back_memory_and_vmcoreinfo(byteorder: str, bits: int, tmp_path: Path) -> None:
    core = filled(Spec(arch="linear", bits=bits, byteorder=byteorder, model=Model.FLATMEM, ram=SMALL))  # type: ignore[arg-type]
    image = open_image(core.elf(tmp_path / "vmcore"))
    assert (image.bits, image.byteorder) == (bits, byteorder)
    assert all(image.page(pfn * 4096, 4096) == core.page(pfn) for pfn in core.ram_pfns)
    assert image.info is not None
    assert "".join(f"{key}={value}\n" for key, value in reversed(image.info.lines.items())) == core.vmcoreinfo


def test_more_program_headers_than_e_phnum_can_count_are_counted_in_section_header_0(tmp_path: Path) -> None:
    data = build(Spec(ram=SMALL)).elf(tmp_path / "vmcore", ElfStyle(headers=70_000)).read_bytes()
    (shoff,) = struct.unpack_from("<Q", data, 40)
    assert struct.unpack_from("<H", data, 56) == (0xFFFF,)
    assert struct.unpack_from("<I", data, shoff + 44) == (70_000,)


def test_a_vmcore_of_qemu_has_its_program_headers_behind_section_headers(tmp_path: Path) -> None:
    data = build(Spec(ram=SMALL)).elf(tmp_path / "vmcore", ElfStyle(qemu=True)).read_bytes()
    assert struct.unpack_from("<QQ", data, 32) == (192, 64)
    vaddr, paddr = struct.unpack_from("<QQ", data, 192 + 56 + 16)
    assert vaddr == paddr == SMALL[0].start


def mapped(core: Vmcore, path: Path) -> bool:
    image = open_image(core.elf(path))
    machine = core.machine
    direct = all(image.translate(machine.virt(pfn * 4096)) == pfn * 4096 for pfn in core.ram_pfns)
    return direct and image.translate(machine.image + 0x5123) == machine.image_paddr + 0x5123


@pytest.mark.parametrize("levels", [4, 5])
@pytest.mark.parametrize("leaf", ["1G", "2M", "4K"])
def test_page_tables_map_all_memory_and_the_image(levels: int, leaf: str, tmp_path: Path) -> None:
    core = build(Spec(release="5.10.0", ram=SMALL, levels=levels, direct_leaf=leaf, kaslr=0x1F000000))  # type: ignore[arg-type]
    assert mapped(core, tmp_path / "vmcore")


def test_the_same_seed_gives_the_same_machine_and_another_one_does_not() -> None:
    spec = Spec(ram=SMALL)
    assert random_layout(spec, 1) == random_layout(spec, 1)
    assert random_layout(spec, 1) != random_layout(spec, 2)
