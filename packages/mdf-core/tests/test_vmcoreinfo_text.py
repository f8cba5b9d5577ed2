# SPDX-License-Identifier: GPL-2.0-or-later
"""VMCOREINFO is read as kernels write it; what can't be a value is an error that shows it."""

from __future__ import annotations

import pytest

from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import NEWEST_KNOWN, OLDEST_KNOWN, Release


def info(*lines: str) -> Vmcoreinfo:
    return Vmcoreinfo.parse("\n".join(lines).encode())


def test_each_kind_of_line_has_its_accessor() -> None:
    text = info(
        "OSRELEASE=6.1.0-56-amd64",
        "PAGESIZE=4096",
        "SYMBOL(init_uts_ns)=ffffffff9661f080",
        "SIZE(page)=64",
        "OFFSET(page.flags)=0",
        "LENGTH(free_area.free_list)=6",
        "NUMBER(PG_lru)=4",
        "CRASHTIME=1700000000",
    )
    assert text.osrelease == "6.1.0-56-amd64"
    assert text.release == (6, 1, 0)
    assert text.page_size == 4096
    assert text.symbol("init_uts_ns") == 0xFFFFFFFF9661F080
    assert text.size("page") == 64
    assert text.offset("page.flags") == 0
    assert text.length("free_area.free_list") == 6
    assert text.number("PG_lru") == 4
    assert text.crashtime == 1700000000


def test_absent_keys_are_none_and_never_zero() -> None:
    text = info("OSRELEASE=6.1.0", "XSYMBOL(a)=1", "SYMBOL(ab)=1", "SIZE(page) =3")
    assert text.symbol("a") is None
    assert text.size("page") is text.offset("page.flags") is text.length("x") is text.number("y") is None
    assert text.crashtime == 0


def test_the_first_known_name_counts() -> None:
    text = info("SYMBOL(b)=10", "SYMBOL(c)=20", "OFFSET(page._count)=28", "OFFSET(page._refcount)=52")
    assert text.symbol("a", "b", "c") == 0x10
    assert text.symbol("c", "b") == 0x20
    assert text.offset("page._refcount", "page._count") == 52
    assert text.offset("page.none", "page._count") == 28


def test_the_first_of_several_lines_counts_but_the_last_page_size_and_crash_time() -> None:
    text = info(
        "OSRELEASE=5.1.0", "OSRELEASE=6.1.0", "SIZE(page)=56", "SIZE(page)=64", "NUMBER(a)=1", "NUMBER(a)=2",
        "PAGESIZE=4096", "PAGESIZE=65536", "CRASHTIME=1", "CRASHTIME=2",
    )  # fmt: skip
    assert (text.osrelease, text.size("page"), text.number("a")) == ("5.1.0", 56, 1)
    assert (text.page_size, text.crashtime) == (65536, 2)


def test_a_value_that_is_not_decimal_is_read_again_as_hexadecimal() -> None:
    text = info("SIZE(a)=0x40", "OFFSET(b)=1f", "NUMBER(c)=ffff", "LENGTH(d)=10", "NUMBER(e)=-0x80")
    assert text.size("a") == 0x40
    assert text.offset("b") == 0x1F
    assert text.number("c") == 0xFFFF
    assert text.length("d") == 10
    assert text.number("e") == -0x80


def test_numbers_may_be_negative_as_page_types_and_phys_base_are() -> None:
    text = info("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129", "NUMBER(phys_base)=-71303168")
    assert text.number("PAGE_BUDDY_MAPCOUNT_VALUE") == -129
    assert text.number("phys_base") == -71303168


@pytest.mark.parametrize("kind", ["SIZE", "OFFSET", "LENGTH"])
@pytest.mark.parametrize("value", ["-1", str((1 << 63) - 1), str(1 << 64), "", "zz", "1 2", "64 bytes", "1_0", "٣"])
def test_a_size_offset_or_length_that_cannot_be_is_refused_with_its_line(kind: str, value: str) -> None:
    text = info(f"{kind}(x)={value}")
    with pytest.raises(FormatError, match=rf"^Invalid data in vmcoreinfo: {kind}\(x\)="):
        getattr(text, kind.lower())("x")


def test_the_marker_of_an_array_without_a_length_is_a_length() -> None:
    assert info(f"LENGTH(node_data)={(1 << 63) - 2}").length("node_data") == (1 << 63) - 2


@pytest.mark.parametrize("value", ["0", "ffffffffffffffff", "-1", "-5", "", "xyz", "1ffffffffffffffff0", "1_0"])
def test_a_symbol_that_cannot_be_an_address_is_refused(value: str) -> None:
    with pytest.raises(FormatError, match=r"^Invalid data in vmcoreinfo: SYMBOL\(a\)="):
        info(f"SYMBOL(a)={value}").symbol("a")


@pytest.mark.parametrize("value", ["0", "1", "-4096", "4095", "6144", str(1 << 40), "", "four"])
def test_a_page_size_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(FormatError, match=r"^Invalid data in vmcoreinfo: PAGESIZE="):
        _ = info(f"PAGESIZE={value}").page_size


def test_the_lines_every_text_must_have_are_named_when_missing() -> None:
    with pytest.raises(MissingInfoError, match="PAGESIZE"):
        _ = info("OSRELEASE=6.1.0").page_size
    with pytest.raises(MissingInfoError, match="OSRELEASE"):
        _ = info("PAGESIZE=4096").release


def test_garbage_between_the_lines_does_no_harm() -> None:
    text = Vmcoreinfo.parse(b"\x00\xff\xfe no line\n=\n\n==\nSIZE(page)=64\r\n\x80=1\nNUMBER(a)=7\x00\x00\x00")
    assert text.size("page") == 64
    assert text.number("a") == 7


def test_a_line_is_read_up_to_1499_characters() -> None:
    text = Vmcoreinfo.parse(b"A=" + b"x" * 5000 + b"\nB=2")
    assert len(text.values["A"]) == 1497
    assert text.values["B"] == "2"


def test_the_release_text_is_at_most_64_characters() -> None:
    assert len(info("OSRELEASE=6.1." + "9" * 200).osrelease) == 64


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("6.1.0-56-amd64", (6, 1, 0)),
        ("2.6.32-754.el6.x86_64", (2, 6, 32)),
        ("5.10", (5, 10, 0)),
        ("7.2-rc1", (7, 2, 0)),
        ("4.18.0-553.el8_10.x86_64+debug", (4, 18, 0)),
        ("6.12.30.1", (6, 12, 30)),
    ],
)
def test_a_release_is_its_first_three_numbers(text: str, numbers: tuple[int, int, int]) -> None:
    assert Release.parse(text) == numbers


@pytest.mark.parametrize("text", ["", "6", "six.one", ".1.2", "v6.1.0", " 6.1.0", "-6.1.0", "123456.1.0"])
def test_what_does_not_begin_with_two_numbers_is_no_release(text: str) -> None:
    with pytest.raises(FormatError, match="is not a kernel release"):
        Release.parse(text)


def test_releases_compare_as_numbers() -> None:
    assert Release.parse("6.9.9") < Release.parse("6.10.0") < Release.parse("6.10.1-rc1") < Release(7, 0)
    assert OLDEST_KNOWN < Release(6, 1) < NEWEST_KNOWN
    assert str(Release.parse("6.1.55-1")) == "6.1.55"


def test_a_text_that_no_kernel_has_room_for_is_read_in_part() -> None:
    info = Vmcoreinfo.parse(b"PAGESIZE=4096\n" + b"".join(b"%d=\n" % number for number in range(1 << 20)))
    assert info.page_size == 4096
    assert len(info.values) < 1 << 18
