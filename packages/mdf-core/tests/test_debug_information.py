# SPDX-License-Identifier: GPL-2.0-or-later
"""BTF and DWARF of made kernels say the same, in any byte order and word size, and damage is one clear line."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from debuginfo import Array, Const, Dwarf, Elf, Enum, Int, Order, Pointer, Struct, Type, Typedef, Variable, btf
from mdf.core.debuginfo import dwarf as reader
from mdf.core.debuginfo.btf import read_btf
from mdf.core.debuginfo.types import Member, Structure
from mdf.core.debuginfo.vmlinux import Vmlinux
from mdf.core.debuginfo.wanted import Types, Wanted
from mdf.core.errors import FormatError, InputError, MdfError, MissingInfoError, UnsupportedError

LONG = Int("long", 8)
LIST_HEAD = Struct("list_head", 16, members=[("next", Pointer(), 0), ("prev", Pointer(), 8)])
COUNTER = Struct("counter_s", 4, members=[("counter", Int("int", 4), 0)])
PAGE = Struct(
    "page",
    64,
    members=[
        ("flags", LONG, 0),
        (
            "",
            Struct(
                "",
                40,
                members=[
                    ("lru", LIST_HEAD, 0),
                    ("", Struct("", 24, members=[("mapping", Pointer(), 16), ("inuse", COUNTER, 20)]), 0),
                ],
                union=True,
            ),
            8,
        ),
        ("next", Const(to=Typedef("alias_t", to=Array(to=Pointer(), length=5))), 48),
        ("single", Array(to=LONG, length=1), 56),
    ],
)
FLAGS = Enum("pageflags", 4, values={"PG_lru": 4, "PG_negative": -2})
COUNTER_T = Typedef("atomic_long_t", to=Typedef("counter_t", to=COUNTER))
TYPES: list[Type] = [Struct("page", declaration=True), PAGE, FLAGS, COUNTER_T]
WANTED = Wanted(
    structures=frozenset({"page", "atomic_long_t", "absent"}),
    constants=frozenset({"PG_lru", "PG_negative", "PG_absent"}),
)
EXPECTED_PAGE = Structure(
    64,
    {
        "flags": Member(0),
        "lru": Member(8),
        "mapping": Member(24),
        "inuse": Member(28),
        "next": Member(48, 5),
        "single": Member(56, 1),
        # Of structures with a name within it.
        "prev": Member(16),
        "counter": Member(28),
    },
)
ORDERS: list[Order] = ["little", "big"]
UNIT = "mm/page_alloc.c"


def opened(path: Path, elf: Elf) -> Vmlinux:
    path.write_bytes(elf.build())
    return Vmlinux(path)


def assert_expected(types: Types) -> None:
    assert types.structures == {"page": EXPECTED_PAGE, "atomic_long_t": Structure(4, {"counter": Member(0)})}
    assert types.constants == {"PG_lru": 4, "PG_negative": -2}


@pytest.mark.parametrize("order", ORDERS)
def test_btf_gives_structures_members_arrays_and_enumerators(order: Order) -> None:
    assert_expected(read_btf(btf(TYPES[1:], order), WANTED))


@pytest.mark.parametrize("order", ORDERS)
def test_btf_gives_values_of_64_bit_enumerations(order: Order) -> None:
    large = Enum("large", 8, values={"HUGE": 1 << 40 | 3, "SMALL": -(1 << 40)})
    types = read_btf(btf([large], order), Wanted(constants=frozenset({"HUGE", "SMALL"})))
    assert types.constants == {"HUGE": 1 << 40 | 3, "SMALL": -(1 << 40)}


def test_btf_gives_the_length_of_variables_that_are_arrays() -> None:
    variables = [Variable("node_data", to=Array(to=Pointer(), length=64)), Variable("mem_section", to=Pointer())]
    types = read_btf(btf(variables), Wanted(arrays=frozenset({"node_data", "mem_section", "pgdat_list"})))
    assert types.arrays == {"node_data": 64, "mem_section": None}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("version", "expressions"), [(2, True), (4, False), (5, False)])
def test_dwarf_gives_the_same_as_btf(
    version: int, expressions: bool, order: Order, compressed: bool, tmp_path: Path
) -> None:
    dwarf = Dwarf({"a.c": [LONG], UNIT: TYPES}, version, order, expressions=expressions)
    with opened(tmp_path / "vmlinux", Elf(dwarf.sections(), {}, order=order, compressed=compressed)) as vmlinux:
        assert vmlinux.has_dwarf
        assert not vmlinux.has_btf
        assert_expected(vmlinux.dwarf(WANTED))


@pytest.mark.parametrize("version", [4, 5])
def test_dwarf_gives_arrays_and_the_source_file_of_a_typedef(version: int, tmp_path: Path) -> None:
    types = [
        Variable("node_data", to=Array(to=Pointer())),
        Variable("pgdat_list", to=Array(to=Pointer(), length=8)),
        Variable("mem_section", to=Pointer()),
        Typedef("pud_t", to=LONG),
    ]
    wanted = Wanted(arrays=frozenset({"node_data", "pgdat_list", "mem_section"}), sources=frozenset({"pud_t"}))
    with opened(tmp_path / "vmlinux", Elf(Dwarf({UNIT: types}, version).sections(), {})) as vmlinux:
        found = vmlinux.dwarf(wanted)
    assert found.arrays == {"node_data": 0, "pgdat_list": 8, "mem_section": None}
    assert found.sources == {"pud_t": "arch/x86/include/asm/pgtable_types.h"}


@pytest.mark.parametrize("unit", ["elsewhere.c", "/build/linux/mm/page_alloc.c"])
def test_dwarf_finds_what_no_unit_of_the_usual_names_has(unit: str, tmp_path: Path) -> None:
    units: dict[str, Sequence[Type]] = {"a.c": [LONG], "init/main.c": [LONG], unit: TYPES, "z.c": [Struct("page", 8)]}
    with opened(tmp_path / "vmlinux", Elf(Dwarf(units).sections(), {})) as vmlinux:
        assert_expected(vmlinux.dwarf(WANTED))


def test_dwarf_reads_only_the_units_that_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = reader._Reader.read

    def noting(self: reader._Reader, unit: Any) -> None:
        read.append(unit.cu_offset)
        original(self, unit)

    monkeypatch.setattr(reader._Reader, "read", noting)
    units = {f"{number}.c": [Struct("page", 1)] for number in range(50)}
    wanted = Wanted(structures=frozenset({"page"}))
    with opened(tmp_path / "vmlinux", Elf(Dwarf(units | {UNIT: TYPES}).sections(), {})) as vmlinux:
        assert vmlinux.dwarf(wanted).structures == {"page": EXPECTED_PAGE}
    assert len(read) == 1


@pytest.mark.parametrize(("bits", "order", "machine"), [(64, "little", 62), (64, "big", 22), (32, "big", 20)])
def test_symbols_release_and_build_id_are_read_from_any_machine(
    bits: int, order: Order, machine: int, tmp_path: Path
) -> None:
    note = b"".join(number.to_bytes(4, order) for number in (4, 4, 3)) + b"GNU\x00\x12\x34\xab\xcd"
    # "list" has no string of its own.
    symbols = {"vmlist": (0x1000, 8), "max_pfn": (0x1008, 4), "node_data": (0x2000, 512)}
    elf = Elf({".note.gnu.build-id": note}, symbols, bits, order, machine)
    with opened(tmp_path / "vmlinux", elf) as vmlinux:
        found = vmlinux.symbols(["node_data", "vmlist", "list", "absent"])
        assert {name: (symbol.address, symbol.size) for name, symbol in found.items()} == {
            "vmlist": (0x1000, 8),
            "node_data": (0x2000, 512),
        }
        assert vmlinux.symbol_table.next_address(0x1000) == 0x1008
        assert vmlinux.release == "6.1.0-test"
        assert vmlinux.build_id == "1234abcd"


def test_a_file_of_debug_information_alone_has_types_but_no_release(tmp_path: Path) -> None:
    sections = Dwarf({UNIT: TYPES}).sections() | {".BTF": btf(TYPES[1:])}
    with opened(tmp_path / "vmlinux.debug", Elf(sections, {"max_pfn": (0x1000, 8)}, no_data=True)) as vmlinux:
        assert vmlinux.release is None
        assert not vmlinux.has_btf
        assert_expected(vmlinux.dwarf(WANTED))


LOOP = Typedef("atomic_long_t")
object.__setattr__(LOOP, "to", LOOP)
NESTED = Struct("page", 8)
object.__setattr__(NESTED, "members", [("", NESTED, 0)])
DOUBLING = Struct("level0", 8, members=[("", LONG, 0)])
for _ in range(40):
    DOUBLING = Struct("page", 8, members=[("", DOUBLING, 0), ("twice", DOUBLING, 0)])
GOOD = btf(TYPES[1:])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no header with the magic number eb9f at byte 0"),
        (b"\x00" + GOOD[1:], "no header with the magic number eb9f at byte 0"),
        (GOOD[:2] + b"\x02" + GOOD[3:], "version 2 at byte 2 is not known"),
        (GOOD[:200], "names types or strings beyond the 200 bytes there are"),
        (GOOD[:28] + b"\x00\x00\x00\x2a" + GOOD[32:], "type 1 at byte 24 is of the unknown kind 42"),
        (GOOD[:12] + (24).to_bytes(4, "little") + GOOD[16:], "reaches beyond the types' end at byte 48"),
        (btf([LOOP]), "the typedefs at byte 24 lead in a circle"),
        (btf([NESTED]), "the structure at byte 24 is nested too deeply"),
        (btf([DOUBLING]), "a structure with more than 65536 members"),
    ],
)
def test_damaged_btf_is_one_line_that_says_where(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    with opened(path, Elf({".BTF": data}, {})) as vmlinux, pytest.raises(FormatError) as caught:
        vmlinux.btf(WANTED)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ([LOOP], "lead in a circle"),
        ([NESTED], "is nested too deeply"),
        ([DOUBLING], "more than 65536 members"),
    ],
)
def test_dwarf_that_goes_round_in_circles_ends_with_one_line(types: list[Type], message: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    with opened(path, Elf(Dwarf({UNIT: types}).sections(), {})) as vmlinux, pytest.raises(FormatError, match=message):
        vmlinux.dwarf(WANTED)


def test_dwarf_whose_entries_lead_backwards_ends_with_one_line(tmp_path: Path) -> None:
    elf = Elf(Dwarf({UNIT: TYPES}, sibling=12).sections(), {})
    with opened(tmp_path / "vmlinux", elf) as vmlinux, pytest.raises(FormatError, match="is followed by one before it"):
        vmlinux.dwarf(WANTED)


SOURCE = """
typedef struct { long counter; } atomic_long_t;
enum pageflags { PG_lru = 4, PG_negative = -2 };
struct page {
    unsigned long flags;
    union { struct { void *lru; void *mapping; }; atomic_long_t inuse; };
    void *const next[5];
};
struct page *node_data[64];
struct page one;
enum pageflags flags;
"""


@pytest.mark.parametrize("options", [[], ["-gdwarf-4"], ["-gz"], ["-gdwarf-5", "-gz"]])
def test_dwarf_of_a_real_compiler_is_read_before_it_is_linked(options: list[str], tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.maxsize < 1 << 32:
        pytest.skip("no C compiler for 64-bit machines")
    (tmp_path / "mm").mkdir()
    (tmp_path / UNIT).write_text(SOURCE)
    subprocess.run([compiler, "-g", *options, "-c", UNIT, "-o", "vmlinux.o"], cwd=tmp_path, check=True)
    arrays, sources = frozenset({"node_data"}), frozenset({"atomic_long_t"})
    with Vmlinux(tmp_path / "vmlinux.o") as vmlinux:
        assert vmlinux.relocatable
        types = vmlinux.dwarf(Wanted(WANTED.structures, WANTED.constants, arrays, sources))
    members = {"flags": 0, "lru": 8, "mapping": 16, "inuse": 8, "next": 24, "counter": 8}
    page = types.structures["page"]
    assert (page.size, {name: member.offset for name, member in page.members.items()}) == (64, members)
    assert page.members["next"].length == 5
    assert types.structures["atomic_long_t"].size == 8
    assert types.constants == {"PG_lru": 4, "PG_negative": -2}
    assert types.arrays == {"node_data": 64}
    assert types.sources["atomic_long_t"].endswith(UNIT)


def kernel_with_both() -> bytes:
    sections = {".BTF": GOOD} | Dwarf({UNIT: [*TYPES, Typedef("pud_t", to=LONG)]}).sections()
    return Elf(sections, {"max_pfn": (0x1000, 8)}).build()


@contextmanager
def said_in_one_line(path: Path) -> Iterator[None]:
    """An error there may be, but only one that names the file in one line."""
    message = f"{path}: "
    try:
        yield
    except MdfError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("seed", range(150))
def test_any_damage_is_an_error_of_one_line_or_goes_unnoticed(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    data = bytearray(kernel_with_both())
    for _ in range(chance.choice([1, 3, 20])):
        data[chance.randrange(len(data))] = chance.randrange(256)
    if seed % 5 == 0:
        del data[chance.randrange(len(data)) :]
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    with said_in_one_line(path), Vmlinux(path) as vmlinux:
        vmlinux.symbols(["max_pfn"])
        vmlinux.btf(WANTED)
        vmlinux.dwarf(Wanted(WANTED.structures, WANTED.constants, sources=frozenset({"pud_t"})))
        assert vmlinux.release != ""
        assert vmlinux.build_id != ""


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", FormatError, "{path}: not an ELF file"),
        (b"\x7fELF\x02\x01", FormatError, "{path}: ELF header with an unknown class or byte order"),
        (
            Elf({}, {}, machine=999).build(),
            UnsupportedError,
            "{path}: kernels of the ELF machine 999 are not supported.",
        ),
        (Elf({}).build(), MissingInfoError, "{path} has no symbol table."),
        (None, InputError, "Can't open the file({path}). No such file or directory"),
    ],
)
def test_what_is_no_kernel_is_said_in_one_line(
    data: bytes | None, error: type[MdfError], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "vmlinux"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error) as caught, Vmlinux(path) as vmlinux:
        vmlinux.symbols(["max_pfn"])
    assert str(caught.value) == message.format(path=path)


@pytest.mark.parametrize("bits", [32, 64])
def test_a_debug_section_that_unpacks_to_far_too_much_is_not_unpacked(bits: int, tmp_path: Path) -> None:
    sections = {**Dwarf({"mm/page_alloc.c": [PAGE]}).sections(), ".debug_str": bytes(1 << 20)}
    compressed = Elf(sections, {}, bits=bits, machine={32: 3, 64: 62}[bits], compressed=True)
    impossible = pytest.raises(FormatError, match=r"impossible size: section .debug_str unpacks \d+ bytes to 1048576")
    with opened(tmp_path / "vmlinux", compressed) as vmlinux, impossible:
        vmlinux.dwarf(Wanted(frozenset({"page"})))


def test_a_debug_section_that_is_not_in_the_file_is_not_made_up(tmp_path: Path) -> None:
    kernel = Elf({**Dwarf({"mm/page_alloc.c": [PAGE]}).sections(), ".debug_line": b"x" * 777}, {}).build()
    at = kernel.index(struct.pack("<QQ", kernel.index(b"x" * 777), 777)) - 20
    damaged = bytearray(kernel)
    struct.pack_into("<I", damaged, at, 8)  # sh_type: SHT_NOBITS
    struct.pack_into("<Q", damaged, at + 28, 1 << 40)  # sh_size
    (tmp_path / "vmlinux").write_bytes(damaged)
    missing = pytest.raises(FormatError, match=r"section \.debug_line has nothing in the file")
    with Vmlinux(tmp_path / "vmlinux") as vmlinux, missing:
        vmlinux.dwarf(Wanted(frozenset({"page"})))
