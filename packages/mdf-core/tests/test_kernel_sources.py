# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel information of a vmlinux or a text goes before the vmcore's own, is moved as KASLR moved the kernel, and is
refused if it is another kernel's.
"""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from factory import MIB, KdumpStyle, Ram, Spec, Vmcore, build
from kernels import text_of, vmlinux_of
from mdf.core.dumps import Dump, open_dump
from mdf.core.errors import FormatError, InputError, MdfError, MismatchError, MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import MemMap, given_info, kernel_info, mem_map, open_kernel
from mdf.core.messages import Level, Messages

KASLR = 0x1F000000
BUILD_ID = "6d616b656475" + "0" * 28  # What made kernels export.
SPEC = Spec(ram=(Ram(1 * MIB, 6 * MIB),), kaslr=KASLR, root_pointer=True)


def merged(core: Vmcore, folder: Path, given: Vmcoreinfo | None, said: StringIO | None = None) -> Vmcoreinfo:
    messages = Messages(Level.COMMON, stdout=said or StringIO())
    with open_dump(core.elf(folder / "vmcore"), given=given) as dump:
        info = kernel_info(dump, given, messages)
    assert info is not None
    return info


def lines(*text: str) -> Vmcoreinfo:
    return Vmcoreinfo.parse("\n".join(("OSRELEASE=6.1.0", "PAGESIZE=4096", *text)).encode(), "the text")


def test_what_is_given_goes_before_the_vmcores_own_and_that_fills_what_is_missing(tmp_path: Path) -> None:
    core = build(replace(SPEC, crashtime=77))
    info = merged(core, tmp_path, lines("SIZE(page)=56", "CRASHTIME=5", "NUMBER(PG_new)=9"))
    assert (info.size("page"), info.number("PG_new")) == (56, 9)
    assert info.origin("SIZE(page)") == info.origin("NUMBER(PG_new)") == "the text"
    assert info.number("PAGE_BUDDY_MAPCOUNT_VALUE") == -129
    assert info.origin("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)") == "vmcoreinfo"
    assert info.origin("SIZE(absent)") is None


def test_of_page_size_and_crash_time_the_last_that_is_read_counts(tmp_path: Path) -> None:
    core = build(replace(SPEC, crashtime=77))
    given = replace(lines("CRASHTIME=5"), values={**lines("CRASHTIME=5").values, "PAGESIZE": "65536"})
    info = merged(core, tmp_path, given)
    assert (info.page_size, info.crashtime) == (4096, 77)
    assert info.origin("PAGESIZE") == info.origin("CRASHTIME") == "vmcoreinfo"


@pytest.mark.parametrize("form", ["btf", "dwarf"])
def test_symbols_of_a_vmlinux_are_moved_as_kaslr_moved_the_kernel(form: str, tmp_path: Path) -> None:
    core = build(SPEC)
    given = given_info(vmlinux_of(core, tmp_path / "vmlinux", form), None)  # type: ignore[arg-type]
    assert given is not None
    info = merged(core, tmp_path, given)
    for name in ("init_uts_ns", "swapper_pg_dir", "mem_section"):
        assert info.symbol(name) == core.machine.symbols[name]
        assert given.symbol(name) == core.machine.symbols[name] - KASLR
        assert info.origin(f"SYMBOL({name})") == str(tmp_path / "vmlinux")


def test_symbols_of_a_text_are_moved_but_not_those_that_a_running_kernel_has_written(tmp_path: Path) -> None:
    core = build(SPEC)
    for text in (text_of(core, tmp_path / "text").read_bytes(), core.vmcoreinfo.encode()):
        (tmp_path / "text").write_bytes(text)
        info = merged(core, tmp_path, given_info(None, tmp_path / "text"))
        assert info.symbol("init_uts_ns") == core.machine.symbols["init_uts_ns"]


def test_where_the_kernel_does_not_say_how_far_it_was_moved_its_symbols_do(tmp_path: Path) -> None:
    core = build(replace(SPEC, without=("KERNELOFFSET",)))
    info = merged(core, tmp_path, given_info(None, text_of(core, tmp_path / "text")))
    assert info.symbol("swapper_pg_dir") == core.machine.symbols["swapper_pg_dir"]


def test_a_vmcore_without_vmcoreinfo_takes_its_page_size_from_what_is_given(tmp_path: Path) -> None:
    spec = Spec(arch="linear", byteorder="big", page_shift=16, ram=(Ram(0, 24 * MIB),), vmcoreinfo=False)
    core, said = build(spec), StringIO()
    given = given_info(None, text_of(core, tmp_path / "text"))
    assert merged(core, tmp_path, given, said).page_size == 1 << 16
    with open_dump(tmp_path / "vmcore", given=given) as dump:
        assert (dump.page_size, dump.max_mapnr) == (1 << 16, 24 * MIB >> 16)
    path = tmp_path / "vmcore"
    assert said.getvalue() == f"{path} doesn't contain vmcoreinfo: that KASLR didn't move the kernel is assumed.\n"


def test_a_mem_section_that_is_a_pointer_is_followed_at_once(tmp_path: Path) -> None:
    core = build(SPEC)
    given = given_info(vmlinux_of(core, tmp_path / "vmlinux"), None)
    with open_dump(core.elf(tmp_path / "vmcore"), given=given) as dump:
        kernel = open_kernel(dump, Messages(0), given=given)
        assert kernel is not None
        assert kernel.info.pointers == {"mem_section"}
        read = []
        kernel.read = lambda vaddr, size, of=kernel.read: (read.append(vaddr), of(vaddr, size))[1]  # type: ignore
        assert [piece.address for piece in mem_map(kernel, dump.max_mapnr)] == [piece.address for piece in core.pieces]
        assert read[0] == core.machine.symbols["mem_section"]
        assert read[1] == kernel.read_pointer(core.machine.symbols["mem_section"])


def refused(core: Vmcore, vmcore: Path, given: Vmcoreinfo | None) -> MismatchError:
    with open_dump(vmcore, given=given) as dump, pytest.raises(MismatchError) as caught:
        open_kernel(dump, Messages(0), given=given)
    return caught.value


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("kdump", [False, True])
def test_another_kernels_release_is_refused_by_whatever_the_vmcore_has(
    silent: bool, kdump: bool, tmp_path: Path
) -> None:
    core = build(replace(SPEC, kaslr=0, vmcoreinfo=not silent))
    path = core.kdump(tmp_path / "vmcore", KdumpStyle()) if kdump else core.elf(tmp_path / "vmcore")
    error = refused(core, path, given_info(None, text_of(core, tmp_path / "text", release="6.1.0-other")))
    assert str(error) == f"{tmp_path / 'text'} and {path} don't match."
    assert error.hint == f"{tmp_path / 'text'} is of 6.1.0-other; the crashed kernel is 6.1.0."
    assert error.exit_code == 2


def test_a_build_id_tells_kernels_of_one_release_apart_and_makes_the_release_needless(tmp_path: Path) -> None:
    core, vmlinux = build(SPEC), tmp_path / "vmlinux"
    error = refused(
        core, core.elf(tmp_path / "vmcore"), given_info(vmlinux_of(core, vmlinux, build_id="ab" * 20), None)
    )
    assert error.hint == f"{vmlinux} is of 6.1.0 (build-id {'ab' * 20}, not {BUILD_ID}); the crashed kernel is 6.1.0."
    said = StringIO()
    merged(core, tmp_path, given_info(vmlinux_of(core, vmlinux, "dwarf", build_id=BUILD_ID, no_data=True), None), said)
    assert said.getvalue() == ""


def test_what_does_not_say_of_which_kernel_it_is_is_said(tmp_path: Path) -> None:
    core, said = build(SPEC), StringIO()
    vmlinux = vmlinux_of(core, tmp_path / "vmlinux", "dwarf", no_data=True)
    info = merged(core, tmp_path, given_info(vmlinux, None), said)
    assert (
        said.getvalue() == f"{vmlinux} doesn't say of which kernel it is: whether of the crashed one is not checked.\n"
    )
    assert info.osrelease == "6.1.0"


def test_addresses_that_kaslr_does_not_explain_are_another_kernels(tmp_path: Path) -> None:
    core = build(SPEC)
    address = core.machine.symbols["init_uts_ns"] - KASLR + 4096
    error = refused(core, core.elf(tmp_path / "vmcore"), lines(f"SYMBOL(init_uts_ns)={address:x}"))
    assert error.hint == "the text is of 6.1.0, but with other addresses; the crashed kernel is 6.1.0."


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"", FormatError, "{path} is no vmcoreinfo: OSRELEASE is not in its first"),
        (b"\x7fELF" + bytes(5000), FormatError, "{path} is no vmcoreinfo: OSRELEASE is not in its first"),
        (
            b"OSRELEASE=6.1.0\n" * (1 << 17),
            FormatError,
            "{path} is no vmcoreinfo: OSRELEASE is not in its first 1048576",
        ),
        (b"OSRELEASE=6.1.0\n", MissingInfoError, "{path}: vmcoreinfo has no PAGESIZE."),
        (b"OSRELEASE=\nPAGESIZE=4096\n", MissingInfoError, "{path}: vmcoreinfo has no OSRELEASE."),
        (b"XOSRELEASE=6.1.0\nPAGESIZE=4096\n", MissingInfoError, "{path}: vmcoreinfo has no OSRELEASE."),
        (None, InputError, "Can't open the vmcoreinfo file({path}). No such file or directory"),
    ],
)
def test_a_file_that_is_no_vmcoreinfo_is_said_in_one_line(
    text: bytes | None, error: type[MdfError], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "text"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(error) as caught:
        given_info(None, path)
    assert str(caught.value).startswith(message.format(path=path))
    assert "\n" not in str(caught.value)


def pieces_of(dump: Dump, given: Vmcoreinfo | None) -> list[MemMap]:
    kernel = open_kernel(dump, Messages(0), given=given)
    assert kernel is not None
    return mem_map(kernel, dump.max_mapnr)


@pytest.mark.parametrize(
    "line",
    [
        "SYMBOL(init_uts_ns)=0",
        "SYMBOL(init_uts_ns)=ffffffffffffffff",
        "SYMBOL(init_uts_ns)=12three",
        f"SYMBOL(init_uts_ns)={'1' * 1400}",
        "SIZE(page)=-1",
        f"SIZE(page)={(1 << 63) - 1}",
        "OFFSET(page.flags)=sixty",
        "OFFSET(page.flags)=\x00",
        "LENGTH(mem_section)=1_000",
    ],
)
def test_a_hostile_line_of_a_text_is_one_clear_line(line: str, tmp_path: Path) -> None:
    core = build(replace(SPEC, kaslr=0))
    key = line.partition("=")[0]
    path = text_of(core, tmp_path / "text")
    kept = [known for known in path.read_text().splitlines() if not known.startswith(f"{key}=")]
    path.write_text("\n".join([*kept, line]) + "\n")
    given = given_info(None, path)
    with open_dump(core.elf(tmp_path / "vmcore"), given=given) as dump, pytest.raises(FormatError) as caught:
        pieces_of(dump, given)
    assert str(caught.value).startswith(f"Invalid data in {path}: {key}=")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
