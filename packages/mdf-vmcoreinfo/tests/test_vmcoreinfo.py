# SPDX-License-Identifier: GPL-2.0-or-later
"""VMCOREINFO of made kernels of several generations, and the command in both its syntaxes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from debuginfo import Array, Dwarf, Elf, Enum, Int, Pointer, Struct, Type, Typedef, Variable, btf
from mdf.core.debuginfo.find import find
from mdf.core.debuginfo.keys import LINUX
from mdf.core.errors import MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.vmcoreinfo.cli import main
from mdf.vmcoreinfo.needs import NEEDS, unmet
from mdf.vmcoreinfo.text import vmcoreinfo_text

LONG = Int("long", 8)
UNIT = "mm/page_alloc.c"


def structure(name: str, size: int, **members: int) -> Struct:
    return Struct(name, size, members=[(member, LONG, offset) for member, offset in members.items()])


PAGE = structure("page", 64, flags=0, _refcount=52, mapping=24)
SECTION = structure("mem_section", 32, section_mem_map=0)
SPARSE = {"mem_section": (0x2000, 8), "init_uts_ns": (0x3000, 432)}


def kernel(folder: Path, types: Sequence[Type], symbols: dict[str, tuple[int, int]], **settings: object) -> Path:
    path = folder / "vmlinux"
    path.write_bytes(Elf({".BTF": btf(types)}, symbols, **settings).build())  # type: ignore[arg-type]
    return path


def values(folder: Path, types: Sequence[Type], symbols: dict[str, tuple[int, int]] | None = None) -> dict[str, str]:
    return dict(find(kernel(folder, types, symbols or {})).values)


def test_the_text_has_release_page_size_and_what_is_known_in_the_order_of_the_table(tmp_path: Path) -> None:
    types = [Enum("pageflags", 4, values={"PG_lru": 4, "PG_head": 16}), SECTION, PAGE]
    assert vmcoreinfo_text(find(kernel(tmp_path, types, SPARSE))) == (
        "OSRELEASE=6.1.0-test\n"
        "PAGESIZE=4096\n"
        "SYMBOL(mem_section)=2000\n"
        "SYMBOL(init_uts_ns)=3000\n"
        "SIZE(page)=64\n"
        "SIZE(mem_section)=32\n"
        "OFFSET(page.flags)=0\n"
        "OFFSET(page._refcount)=52\n"
        "OFFSET(page.mapping)=24\n"
        "OFFSET(mem_section.section_mem_map)=0\n"
        "NUMBER(PG_lru)=4\n"
        "NUMBER(PG_head_mask)=65536\n"
    )


def test_the_text_can_be_read_as_vmcoreinfo(tmp_path: Path) -> None:
    info = Vmcoreinfo.parse(vmcoreinfo_text(find(kernel(tmp_path, [SECTION, PAGE], SPARSE))).encode())
    assert (info.osrelease, info.page_size, info.symbol("mem_section")) == ("6.1.0-test", 4096, 0x2000)
    assert (info.size("page"), info.offset("page._count", "page._refcount")) == (64, 52)


def test_no_line_is_there_twice() -> None:
    keys = [row.key for row in LINUX]
    assert len(keys) == len(set(keys))


def test_needs_name_only_lines_that_there_are() -> None:
    of_the_vmcore = {"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"}
    named = {name for need in NEEDS for way in need.ways for key in way for name in key.split("|")}
    assert named - {row.key for row in LINUX} == of_the_vmcore


RINGBUFFER = structure("printk_ringbuffer", 88, desc_ring=0)
PRINTK_LOG = structure("printk_log", 16, ts_nsec=0, caller_id=12)
LOG = structure("log", 16, ts_nsec=0)


@pytest.mark.parametrize(
    ("types", "sizes"),
    [
        ([RINGBUFFER, PRINTK_LOG, LOG], {"SIZE(printk_ringbuffer)": "88"}),
        ([LOG, PRINTK_LOG], {"SIZE(printk_log)": "16"}),
        ([LOG], {"SIZE(log)": "16"}),
    ],
)
def test_only_the_newest_form_of_the_log_that_the_kernel_has_is_written(
    types: list[Type], sizes: dict[str, str], tmp_path: Path
) -> None:
    # Without the ring buffer atomic_long_t does not matter, though all kernels have it.
    found = values(tmp_path, [*types, structure("atomic_long_t", 8, counter=0)])
    assert {key: value for key, value in found.items() if key.startswith("SIZE")} == sizes
    assert ("OFFSET(atomic_long_t.counter)" in found) == (RINGBUFFER in types)


def test_the_older_names_of_members_are_taken_for_what_they_were(tmp_path: Path) -> None:
    found = values(tmp_path, [structure("page", 64, flags=0, _count=28, compound_info=8)])
    assert found["OFFSET(page._count)"] == "28"
    assert "OFFSET(page._refcount)" not in found
    assert found["OFFSET(page.compound_head)"] == "8"


@pytest.mark.parametrize(
    ("enumerators", "mask"),
    [
        ({"PG_head_mask": 4, "PG_head": 3}, "4"),
        ({"PG_head": 14, "PG_compound": 3}, "16384"),
        ({"PG_compound": 14}, "16384"),
        ({"PG_head": 64}, None),
    ],
)
def test_the_mask_of_heads_comes_from_the_number_of_its_bit(
    enumerators: dict[str, int], mask: str | None, tmp_path: Path
) -> None:
    assert values(tmp_path, [Enum("pageflags", 4, values=enumerators)]).get("NUMBER(PG_head_mask)") == mask


def test_the_symbol_after_pkmap_count_is_the_next_in_memory(tmp_path: Path) -> None:
    symbols = {"far": (0x9000, 4), "pkmap_count": (0x1000, 4), "next": (0x1800, 4), "before": (0x800, 4)}
    found = values(tmp_path, [PAGE], symbols)
    assert (found["SYMBOL(pkmap_count)"], found["SYMBOL(pkmap_count_next)"]) == ("1000", "1800")


@pytest.mark.parametrize("bits", [32, 64])
def test_lengths_of_variables_come_from_their_symbols_where_there_is_only_btf(bits: int, tmp_path: Path) -> None:
    symbols = {"node_data": (0x1000, 512), "mem_section": (0x2000, 1024), "pgdat_list": (0x3000, bits // 8)}
    machine = {32: 3, 64: 62}[bits]
    found = dict(find(kernel(tmp_path, [SECTION], symbols, bits=bits, machine=machine)).values)
    assert found["LENGTH(node_data)"] == str((1 << bits - 1) - 2)
    assert found["LENGTH(mem_section)"] == "32"
    assert "LENGTH(pgdat_list)" not in found


def test_dwarf_knows_lengths_of_variables_and_one_without_a_symbol_has_none(tmp_path: Path) -> None:
    roots = Array(to=Pointer(), length=2048)
    variables = [Variable("mem_section", to=roots), Variable("pgdat_list", to=roots), Variable("node_data", to=roots)]
    symbols = {"mem_section": (0x2000, 16384), "node_data": (0x1000, 512)}
    path = tmp_path / "vmlinux"
    path.write_bytes(Elf(Dwarf({UNIT: [SECTION, *variables]}).sections(), symbols).build())
    found = find(path).values
    assert found["LENGTH(mem_section)"] == "2048"
    assert found["LENGTH(node_data)"] == "9223372036854775806"
    assert "LENGTH(pgdat_list)" not in found


def test_with_both_forms_btf_is_taken_and_dwarf_only_for_the_source_file(tmp_path: Path) -> None:
    other = Dwarf({UNIT: [structure("page", 1, flags=1), Typedef("pud_t", to=LONG)]}).sections()
    path = tmp_path / "vmlinux"
    path.write_bytes(Elf({".BTF": btf([PAGE]), **other}, {}).build())
    found = find(path)
    assert found.sources == ("symbols", "BTF", "DWARF")
    assert found.values["SIZE(page)"] == "64"
    assert found.values["SRCFILE(pud_t)"] == "arch/x86/include/asm/pgtable_types.h"
    assert find(path, use_btf=False).values["SIZE(page)"] == "1"


def test_the_page_size_of_a_machine_with_several_is_that_of_its_zero_page(tmp_path: Path) -> None:
    symbols = {"empty_zero_page": (0x10000, 65536)}
    assert find(kernel(tmp_path, [PAGE], symbols, machine=21)).page_size == 65536
    if os.uname().machine != "ppc64":
        unknown = find(kernel(tmp_path, [SECTION, PAGE], SPARSE, machine=21))
        assert unknown.page_size is None
        with pytest.raises(MissingInfoError, match="the page size is not known"):
            vmcoreinfo_text(unknown)


def test_a_kernel_without_debug_information_is_an_error_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(Elf({}, {}).build())
    with pytest.raises(MissingInfoError, match="has no debug information") as caught:
        find(path)
    assert "debug package" in str(caught.value.hint)


def test_a_need_is_met_by_any_of_its_ways_and_else_says_what_the_nearest_lacks() -> None:
    known = {key for need in NEEDS for key in need.ways[0]}
    assert {need.purpose for need, _ in unmet(known)} > {"finding the struct pages"}  # Names beside `|` are not keys.
    known = {key.split("|")[0] for need in NEEDS for key in need.ways[0]}
    assert list(unmet(known)) == []
    [(need, lacking)] = unmet(known - {"NUMBER(PG_lru)"})
    assert (need.dump_levels, lacking) == ((2, 4), ("NUMBER(PG_lru)",))


def test_generating_writes_the_file_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = kernel(tmp_path, [SECTION, PAGE], SPARSE), tmp_path / "vmcoreinfo"
    target.write_text("what was there before")
    assert main(["-g", str(target), "-x", str(source)]) == 0
    assert target.read_text() == vmcoreinfo_text(find(source))
    assert capsys.readouterr() == (f"\nThe vmcoreinfo is saved to {target}.\n\nmakedumpfile Completed.\n", "")


def test_a_kernel_that_cannot_be_filtered_leaves_the_old_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = kernel(tmp_path, [PAGE], {}), tmp_path / "vmcoreinfo"
    target.write_text("what was there before")
    assert main(["-g", str(target), "-x", str(source)]) == 1
    out, err = capsys.readouterr()
    assert out == "\nmakedumpfile Failed.\n"
    assert err.splitlines()[0] == "Can't find the memory type."
    assert target.read_text() == "what was there before"


def test_a_kernel_without_its_name_cannot_be_written_but_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = kernel(tmp_path, [SECTION, PAGE], SPARSE, banner="nothing")
    assert main([str(source)]) == 1
    assert "no kernel release" in capsys.readouterr().err
    assert main([str(source), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["release"] is None


def test_a_xen_hypervisor_has_lines_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = Struct("", 8, members=[("inuse", structure("", 8, _domain=0), 0)], union=True)
    info = Struct("page_info", 32, members=[("count_info", LONG, 8), ("u", inner, 24)])
    source, target = tmp_path / "xen-syms", tmp_path / "vmcoreinfo"
    symbols = {"dom_xen": (0x1000, 8), "idle_pg_table": (0x2000, 4096)}
    source.write_bytes(Elf(Dwarf({"common/domain.c": [info]}).sections(), symbols).build())
    assert main(["-g", str(target), "-x", "absent", "--xen-syms", str(source)]) == 0
    assert target.read_text() == (
        "PAGESIZE=4096\nSYMBOL(dom_xen)=1000\nSYMBOL(pgd_l3)=2000\nSYMBOL(pgd_l4)=2000\n"
        "SIZE(page_info)=32\nOFFSET(page_info.count_info)=8\nOFFSET(page_info._domain)=24\n"
    )
    capsys.readouterr()


def test_the_commands_own_syntax_writes_to_standard_output_or_to_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = kernel(tmp_path, [SECTION, PAGE], SPARSE), tmp_path / "vmcoreinfo"
    text = vmcoreinfo_text(find(source))
    assert main([str(source)]) == 0
    assert capsys.readouterr() == (text, "")
    assert main(["-o", str(target), str(source)]) == 0
    assert capsys.readouterr() == ("", "")
    assert target.read_text() == text


def test_json_has_the_values_and_what_is_missing_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(kernel(tmp_path, [SECTION, PAGE], SPARSE)), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["release"], answer["machine"], answer["page_size"]) == ("6.1.0-test", "x86_64", 4096)
    assert answer["read"] == ["symbols", "BTF"]
    assert answer["values"]["SYMBOL(mem_section)"] == "2000"
    assert "SIZE(zone)" in answer["missing"]
    costs = {cost["purpose"]: cost for cost in answer["costs"]}
    assert "finding the struct pages" not in costs
    assert costs["telling hugetlb pages"]["dump_levels"] == [8]
    assert costs["telling hugetlb pages"]["missing"] == ["NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"]


def test_missing_says_which_dump_levels_lose_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--missing", str(kernel(tmp_path, [SECTION, PAGE], SPARSE))]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("dump levels with 16: telling free pages needs OFFSET(page.private), NUMBER(PG_buddy)")
    assert lines[at + 1] == "    without: the kernel's lists of free pages are walked"
    assert "    SIZE(zone)" in lines
    assert "    SIZE(page)" not in lines


@pytest.mark.parametrize("arguments", [["-o"], ["--json"], ["--json", "a", "b"], ["--json", "--missing", "a"]])
def test_a_wrong_use_of_the_commands_own_syntax_is_said_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commandline parameter is invalid." in err


def test_files_that_cannot_be_opened_or_written_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    absent, source = tmp_path / "absent", kernel(tmp_path, [SECTION, PAGE], SPARSE)
    assert main(["-g", str(tmp_path / "out"), "-x", str(absent)]) == 1
    assert capsys.readouterr().err == f"Can't open the file({absent}). No such file or directory\n"
    target = absent / "out"
    assert main(["-g", str(target), "-x", str(source)]) == 1
    assert capsys.readouterr().err == f"Can't write the file({target}). No such file or directory\n"


@pytest.mark.parametrize("arguments", [("-g", "{}", "-x", "{}"), ("{}", "-o", "{}")])
def test_the_kernel_itself_is_not_overwritten(
    arguments: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(b"anything")
    assert main([argument.format(kernel) for argument in arguments]) == 1
    assert "It is the file to read itself." in capsys.readouterr().err
    assert kernel.read_bytes() == b"anything"


def test_the_parameter_check_opens_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check-params", "-g", "/absent/out", "-x", "/absent/vmlinux"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main(["-g", "info"]) == 1
    assert capsys.readouterr().out.startswith("Commandline parameter is invalid.\n")
    assert main(["-R", "info"]) == 1
    assert capsys.readouterr().err == "mdf-vmcoreinfo does not do -R.\nmdf-rearrange does.\n"


def test_help_and_version_need_no_operands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: mdf-vmcoreinfo VMLINUX [-o FILE] [--json | --missing]\n")
    assert "  --missing  write which lines" in text
    assert main(["-v"]) == 0
    assert capsys.readouterr().out.startswith("mdf-vmcoreinfo: version ")
