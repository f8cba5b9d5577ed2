# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's own symbols and types are read from its memory, whatever its form, and damage there is one error."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus import corpus_items, vmcore
from debuginfo import Enum, Int, Order, Struct, Type, btf
from factory import Ram, Spec, Vmcore, build
from factory.kallsyms import FORMS, compressed, names_and_markers, put_kallsyms
from mdf.core.debuginfo.btf import read_btf
from mdf.core.debuginfo.btf_search import BtfSearch
from mdf.core.debuginfo.kallsyms import CODES, Encoding, Names, token_texts
from mdf.core.debuginfo.wanted import Wanted
from mdf.core.dumps import open_dump
from mdf.core.errors import FormatError, MdfError, MissingInfoError
from mdf.core.kernel import Kernel
from mdf.core.kernel.own_symbols import OwnSymbols
from mdf.core.kernel.own_types import own_types

MIB = 1 << 20
ITEMS = [item for item in corpus_items() if not item.startswith("xen")]
WORDS = "vm zone node stat alloc free page lru init exit lock table list read write get put inode".split()


def made_names(count: int) -> list[str]:
    """Names as kernels have them, one of them with more than 127 codes."""
    chance = random.Random(count)
    names = {"_".join(chance.choices(WORDS, k=chance.randrange(1, 5))) + f"{number % 7}" for number in range(count)}
    return ["".join(chance.choices("qxyzQXYZ0123456789", k=300)), *sorted(names)]


@pytest.mark.parametrize("byteorder", ["little", "big"])
@pytest.mark.parametrize("count", [1, 280, 600])
@pytest.mark.parametrize("marked", [True, False])
def test_each_name_has_its_number(count: int, marked: bool, byteorder: Order) -> None:
    names = made_names(count)
    coded, texts = compressed([f"D{name}".encode() for name in names])
    table, markers = names_and_markers(coded, byteorder)
    found = Names(table + (markers if marked else b""), len(names), Encoding(texts), byteorder)
    assert [found.number(name) for name in names] == list(range(len(names)))
    assert found.number("no_such_name") is None
    assert found.number(names[-1][:-1]) is None


def test_a_name_is_found_only_where_one_begins() -> None:
    inner = b"\x04Dabc"
    names = [b"D" + inner + b"x", b"Dabc", b"Dother"]
    table, _ = names_and_markers(names, "little")
    assert Names(table, 3, Encoding([bytes([code]) for code in range(CODES)]), "little").number("abc") == 1


def test_a_name_whose_end_thousands_share_is_found_by_all_of_it() -> None:
    names = [*(f"Dx{number}zz".encode() for number in range(5000)), b"bzz"]
    table, _ = names_and_markers(names, "little")
    found = Names(table, len(names), Encoding([bytes([code]) for code in range(CODES)]), "little")
    assert found.number("zz") == 5000
    assert found.number("z") is None


def test_symbols_of_a_name_are_encoded_as_the_text_of_a_type_and_the_name() -> None:
    names = made_names(600)
    _, texts = compressed([f"{'DbTr'[number % 4]}{name}".encode() for number, name in enumerate(names)])
    encoding = Encoding(texts)
    for name in [*names[::20], "D", "Dvm_zone", "no_such_name"]:
        assert encoding.symbols(name) == [
            encoding.encode(f"{letter}{name}".encode()) for letter in "DdBbRrTtAaVvWwSsGg"
        ]


def made(release: str = "6.1.0", **changes: Any) -> Vmcore:
    return build(Spec(release=release, ram=(Ram(0x1000, 0x9F000), Ram(MIB, 24 * MIB)), **changes))


def with_symbols(core: Vmcore, form: str = "base", **more: Any) -> tuple[Vmcore, dict[str, int]]:
    low = core.machine.image
    symbols = {name: low + 0x100 + 24 * number for number, name in enumerate(made_names(300))}
    own = {name: address for name, address in core.symbols.items() if low <= address < low + (1 << 30)}
    return put_kallsyms(core, symbols | own, form, **more), symbols


def opened(core: Vmcore, path: Path, look: Callable[[Kernel], Any]) -> Any:
    with open_dump(core.elf(path / "vmcore")) as dump:
        assert dump.info is not None
        return look(Kernel(dump, dump.info))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kaslr", [0, 0x1F000000])
@pytest.mark.parametrize("letter", ["D", "b", "T"])
def test_symbols_are_where_the_kernel_says(form: str, kaslr: int, letter: str, tmp_path: Path) -> None:
    core, symbols = with_symbols(made(kaslr=kaslr), form, letter=letter)
    wanted = [*list(symbols)[::50], "init_uts_ns"]

    def look(kernel: Kernel) -> list[int | None]:
        own = OwnSymbols(kernel)
        return [own.address(name) for name in wanted]

    assert opened(core, tmp_path, look) == [(symbols | dict(core.symbols))[name] for name in wanted]


def test_a_big_endian_kernel_has_a_table_too(tmp_path: Path) -> None:
    core, symbols = with_symbols(made("6.12.0", arch="s390x-3", byteorder="big"))
    name = list(symbols)[200]
    assert opened(core, tmp_path, lambda kernel: OwnSymbols(kernel).address(name)) == symbols[name]


def test_a_kernel_that_does_not_say_where_its_table_is_has_none(tmp_path: Path) -> None:
    with pytest.raises(MissingInfoError, match="kallsyms_num_syms"):
        opened(made(), tmp_path, OwnSymbols)


def test_a_table_with_other_addresses_than_vmcoreinfo_is_none(tmp_path: Path) -> None:
    core = made()
    low = core.machine.image
    core = put_kallsyms(core, {"_stext": low + 0x40, "init_uts_ns": low, "other": low + 0x80})
    with pytest.raises(FormatError, match="not those of vmcoreinfo"):
        opened(core, tmp_path, OwnSymbols)


def moved(core: Vmcore, name: str, by: int) -> Vmcore:
    """The address of a part of the table moved in VMCOREINFO."""
    lines = core.vmcoreinfo.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(f"SYMBOL({name})="):
            lines[number] = f"SYMBOL({name})={int(line.partition('=')[2], 16) + by & (1 << 64) - 1:x}"
    return replace(core, vmcoreinfo="\n".join(lines) + "\n")


@pytest.mark.parametrize("part", ["num_syms", "names", "token_table", "token_index", "offsets", "relative_base"])
@pytest.mark.parametrize("by", [-0x100000, -64, -3, 1, 7, 4096, 1 << 40])
def test_a_damaged_table_ends_in_one_error_or_another_symbol(part: str, by: int, tmp_path: Path) -> None:
    core, symbols = with_symbols(made())
    names = list(symbols)[::60]

    def look(kernel: Kernel) -> list[int | None]:
        own = OwnSymbols(kernel)
        return [own.address(name) for name in names]

    # Some parts are read the same all the same, or names are not found.
    found: list[int | None] = [None] * len(names)
    with suppress(MdfError):
        found = opened(moved(core, f"kallsyms_{part}", by), tmp_path, look)
    assert all(at in (None, symbols[name]) for name, at in zip(names, found, strict=True))


def test_bytes_of_any_kind_are_no_table_that_takes_long() -> None:
    chance = random.Random(11)
    begun = time.monotonic()
    for number in range(300):
        texts = (
            [chance.randbytes(chance.choice((0, 1, 2, 500))) for _ in range(CODES)]
            if number % 10 == 0
            else [b""] * CODES
        )
        data = chance.randbytes(chance.randrange(1, 5000)) if number % 2 else b"\x00" * 5000
        with suppress(FormatError):
            names = Names(data, chance.choice((1, 200, 300, 1 << 22)), Encoding(texts), "little")
            assert names.number("vm_zone_stat") is None
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("index", [b"\xff" * 512, bytes(512)])
def test_tokens_without_an_end_are_refused(index: bytes) -> None:
    with pytest.raises(FormatError, match="has no end"):
        token_texts(b"a" * 600, index, "little")


@pytest.mark.parametrize("item", ITEMS)
def test_a_real_kernels_names_are_encoded_as_it_did(item: str) -> None:
    with open_dump(vmcore(item)) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        places = {name: dump.info.symbol(f"kallsyms_{name}") or 0 for name in ("names", "token_table", "token_index")}
        tokens = kernel.read(places["token_table"], places["token_index"] - places["token_table"])
        texts = token_texts(tokens, kernel.read(places["token_index"], 512), kernel.byteorder)
        data = kernel.read(places["names"], 200_000)
    encoding, at, seen = Encoding(texts), 0, 0
    while at + 1000 < len(data):
        size, at = data[at], at + 1
        if size > 127:
            size, at = size & 127 | data[at] << 7, at + 1
        codes = data[at : at + size]
        assert encoding.encode(b"".join(texts[code] for code in codes)) == codes
        at += size
        seen += 1
    assert seen > 10_000


@pytest.mark.parametrize("item", ITEMS)
def test_a_real_kernel_says_of_itself_what_vmcoreinfo_says(item: str) -> None:
    with open_dump(vmcore(item)) as dump:
        info = dump.info
        assert info is not None
        kernel = Kernel(dump, info)
        symbols = OwnSymbols(kernel)
        for name in ("init_uts_ns", "_stext", "swapper_pg_dir", "kallsyms_names", "node_data", "clear_seq", "prb"):
            address = info.symbol(name)
            # Some are no symbols of the table, as swapper_pg_dir where that is a macro.
            assert address is None or symbols.address(name) in (address, None), name
        types = own_types(kernel, symbols)
        page, flags = types.structure("page"), types.constants("pageflags")
        assert page is not None
        assert page.size == info.size("page")
        for name in ("flags", "mapping", "_mapcount", "private", "lru", "compound_head", "compound_info"):
            member = page.members.get(name)
            assert info.offset(f"page.{name}") == (member.offset if member else None), name
        for name in ("PG_lru", "PG_private", "PG_swapcache", "PG_swapbacked", "PG_hwpoison"):
            exported = info.number(name)
            assert exported is None or flags[name] == exported


FLAGS = Enum("pageflags", 4, values={"PG_locked": 0, "PG_lru": 5})
WIDE = Enum("wide", 8, values={"WIDE": 1 << 40 | 3, "TWO": 2})
LONG = Int("long", 8)
INNER = Struct("", 8, members=[("mapping", LONG, 0), ("index", LONG, 8)])
PAGE = Struct("page", 64, members=[("flags", LONG, 0), ("", Struct("", 24, members=[("", INNER, 8)], union=True), 8)])
TYPES: list[Type] = [LONG, FLAGS, WIDE, PAGE, Struct("other", 8, members=[("page", LONG, 0), ("pageflags", LONG, 8)])]


@pytest.mark.parametrize("order", ["little", "big"])
def test_single_types_are_found_as_when_all_are_read(order: Order) -> None:
    data = btf(TYPES, order)
    search = BtfSearch(data)
    page = search.structure("page")
    all_of_it = read_btf(data, Wanted(structures=frozenset({"page"}))).structures["page"]
    assert page is not None
    assert page.size == all_of_it.size
    assert page == all_of_it
    assert search.constants("pageflags") == FLAGS.values
    assert search.constants("wide")["TWO"] == 2
    assert search.structure("pageflags") is None
    assert search.constants("page") == {}
    assert search.structure("absent") is None


def test_damaged_types_are_one_error_or_other_types() -> None:
    chance, data = random.Random(5), btf(TYPES)
    begun = time.monotonic()
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 4, 0x7F, 0x80, 0xFF))
        with suppress(FormatError):
            search = BtfSearch(bytes(changed[: chance.choice((len(changed), len(changed) // 2))]))
            search.structure("page")
            search.constants("pageflags")
            search.constants("wide")
    assert time.monotonic() - begun < 20


def raw_btf(types: bytes, strings: bytes) -> bytes:
    """A section with these types and strings."""
    return struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def composite(name: int, members: list[tuple[int, int, int]]) -> bytes:
    """A structure with members of (name, type, bits)."""
    return struct.pack("<3I", name, 4 << 24 | len(members), 8) + b"".join(struct.pack("<3I", *one) for one in members)


HOSTILE = {
    "structures that nest into each other, twice at each level": raw_btf(
        b"".join(composite(1 if number == 0 else 0, [(0, number + 2, 0)] * 2) for number in range(70)), b"\0page\0"
    ),
    "a structure that is in itself": raw_btf(composite(1, [(0, 1, 0)]), b"\0page\0"),
    "more members than there can be": raw_btf(composite(1, [(1, 1, 0)] * 70_000), b"\0page\0"),
    "its name in every word": raw_btf(b"\1\0\0\0" * (1 << 21), b"\0page\0"),
    "a million names that end like it": raw_btf(b"\0" * (1 << 21), b"page\0" * (1 << 20)),
    "no types before the one that is asked for": raw_btf(composite(1, [(0, 1 << 31, 0)]), b"\0page\0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_types_that_are_made_to_take_long_do_not(name: str) -> None:
    begun = time.monotonic()
    with suppress(FormatError):
        assert BtfSearch(HOSTILE[name]).structure("page") is None
    assert time.monotonic() - begun < 2
