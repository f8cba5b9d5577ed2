# SPDX-License-Identifier: GPL-2.0-or-later
"""--check-dump finds each bit of a dump that is flipped, but for those of a list.

Every bit of the headers and bitmaps, and of some descriptors, is tried; one bit of each byte of notes; and bits all
over the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from captures import DumpFile, dump_of, elf_of
from damaged import Case, found, regions
from factory import MIB, Anon, Cache, Content, Free, Model, Ram, Spec, build, place
from factory.printk import put
from mdf.capture.check import State, check_dump
from mdf.core.dumps import open_dump
from mdf.core.errors import FormatError
from mdf.core.formats import elf

STATUS, DUMP_LEVEL = 424, 4096 + 8
# Set by -e, which may have found nothing to leave out: nothing contradicts this bit of the status.
EXCLUDED_VMEMMAP = (STATUS, 4)
# All cache pages are left out with bit 4, whether bit 2 was asked for or not.
CACHE_BESIDE_PRIVATE = (DUMP_LEVEL, 1)


def made(folder: Path, level: int) -> Case:
    """The dump of a machine with 1 MiB of memory, in which there is one page of everything."""
    pages = (
        place(0x280, Free(order=4)),
        place(0x290, Cache(content=Content.TEXT)),
        place(0x298, Anon(content=Content.TEXT)),
        place(0x299, Cache()),
        place(0x29A, Cache(private=True, content=Content.TEXT)),
        place(0x2A0, Free(order=5)),
        place(0x2C0, Free(order=6)),
    )
    ram = (Ram(0x1000, 0x3000), Ram(2 * MIB, 3 * MIB))
    core = build(
        Spec(release="6.16.0", ram=ram, model=Model.FLATMEM, image_leaf="4K", pages=pages, default_content=Content.TEXT)
    )
    put(core, core.vmcoreinfo.encode())
    dump_of(core, elf_of(core, folder), folder / "dump", level, compression="zlib")
    assert check_dump([folder / "dump"]).state is State.SOUND
    return Case(folder / "dump", DumpFile(folder / "dump"))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return made(tmp_path_factory.mktemp("bits"), 27)


def every_bit(places: Iterable[int]) -> Iterator[tuple[int, int]]:
    return ((at, bit) for at in places for bit in range(8))


def one_bit(places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """One bit of each byte, each of the eight in turn."""
    return ((at, turn % 8) for turn, at in enumerate(places))


def missed(case: Case, bits: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(at, bit) for at, bit in bits if not found(case.flipped(at, bit))]


@pytest.mark.parametrize("region", ["sub header", "bitmap 1", "bitmap 2"])
def test_every_bit_is_found_in(region: str, case: Case) -> None:
    assert missed(case, every_bit(regions(case.parsed)[region])) == []


def test_every_bit_but_one_is_found_in_the_main_header(case: Case) -> None:
    assert missed(case, every_bit(regions(case.parsed)["main header"])) == [EXCLUDED_VMEMMAP]


def test_every_bit_of_a_dump_level_is_found_but_that_which_another_one_includes(tmp_path: Path) -> None:
    assert missed(made(tmp_path, 31), every_bit(range(DUMP_LEVEL, DUMP_LEVEL + 4))) == [CACHE_BESIDE_PRIVATE]


def test_every_bit_is_found_in_descriptors(case: Case) -> None:
    places = regions(case.parsed)["descriptors"]
    some = [*range(3), len(case.parsed.pfns) // 2, len(case.parsed.pfns) - 1]
    for number in some:
        assert missed(case, every_bit(places[24 * number : 24 * (number + 1)])) == []
    assert missed(case, one_bit(places[::7])) == []


@pytest.mark.parametrize("region", ["main header's", "sub header's", "bitmap 1's", "bitmap 2's"])
def test_a_bit_is_found_in_the_padding(region: str, case: Case) -> None:
    assert missed(case, one_bit(regions(case.parsed)[f"{region} padding"][::61])) == []


def unsaid(notes: bytes, start: int) -> set[int]:
    """The bytes of the file that are registers in notes of processors, or fill up a name or a note."""
    found, at = set(), 0
    while at < len(notes):
        namesz, descsz, kind = struct.unpack_from("<III", notes, at)
        desc = at + 12 + (namesz + 3 & ~3)
        following = desc + (descsz + 3 & ~3)
        found |= {*range(at + 12 + namesz, desc), *range(desc + descsz, following)}
        found |= set(range(desc, following)) if kind == elf.NT_PRSTATUS else set()
        at = following
    return {start + at for at in found}


def test_a_bit_is_found_in_the_notes_but_in_registers_and_padding(case: Case) -> None:
    places = regions(case.parsed)["notes"]
    lost = {at for at, _ in missed(case, one_bit(places[::3]))}
    notes = case.parsed.data[places.start : places.stop]
    assert lost == unsaid(notes, places.start) & {*places[::3]}


def test_a_bit_is_found_in_pages_but_in_those_that_are_stored_as_they_are(case: Case) -> None:
    """A bit that no decoder looks at, between two fields of a page, is none of the page."""
    parsed, pages = case.parsed, dict[int, bytes]()
    with open_dump(case.path) as dump:
        for pfn in parsed.pfns:
            pages[pfn] = dump.read(pfn * 4096, 4096)
    for at, bit in missed(case, one_bit(regions(parsed)["pages"][::173])):
        descriptor = next(one for one in parsed.descriptors.values() if one.offset <= at < one.offset + one.size)
        assert not descriptor.flags or same(case, at, bit, pages)


def same(case: Case, at: int, bit: int, pages: dict[int, bytes]) -> bool:
    """Whether all pages are the same with a bit flipped."""
    changed = case.path.with_name("changed")
    data = bytearray(case.parsed.data)
    data[at] ^= 1 << bit
    changed.write_bytes(data)
    try:
        with open_dump(changed) as dump:
            return all(dump.read(pfn * 4096, 4096) == page for pfn, page in pages.items())
    except FormatError:
        return False
