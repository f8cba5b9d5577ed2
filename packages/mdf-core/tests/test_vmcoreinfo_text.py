# SPDX-License-Identifier: GPL-2.0-or-later
"""VMCOREINFO is read as kernels write it; what can't be a value is an error that shows it."""

from __future__ import annotations

import pytest

from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release


def info(*lines: str) -> Vmcoreinfo:
    return Vmcoreinfo.parse("\n".join(lines).encode())


def test_symbols_are_hexadecimal_and_the_first_line_counts() -> None:
    text = info("SYMBOL(a)=ffffffff81000000", "SYMBOL(a)=1", "SYMBOL(b)=10")
    assert text.symbol("a") == 0xFFFFFFFF81000000
    assert text.symbol("missing", "b") == 16
    assert text.symbol("missing") is None


@pytest.mark.parametrize("value", ["0", "ffffffffffffffff", "xyz", ""])
def test_a_symbol_that_can_be_no_address_is_an_error(value: str) -> None:
    with pytest.raises(FormatError, match=r"Invalid data in vmcoreinfo: SYMBOL\(a\)="):
        info(f"SYMBOL(a)={value}").symbol("a")


@pytest.mark.parametrize(("value", "number"), [("12", 12), ("-129", -129), ("0x10", 16), ("ff", 255)])
def test_numbers_are_decimal_and_hexadecimal_when_that_does_not_fit(value: str, number: int) -> None:
    assert info(f"NUMBER(n)={value}").number("n") == number


@pytest.mark.parametrize("value", ["-1", str((1 << 63) - 1), "1_0", "1 2", "4096x"])
def test_a_size_that_can_be_none_is_an_error(value: str) -> None:
    with pytest.raises(FormatError, match="Invalid data"):
        info(f"SIZE(page)={value}").size("page")


def test_the_last_pagesize_and_crashtime_count_but_the_first_osrelease() -> None:
    text = info("PAGESIZE=4096", "PAGESIZE=65536", "CRASHTIME=1", "CRASHTIME=2", "OSRELEASE=6.1.0", "OSRELEASE=5.0.0")
    assert (text.page_size, text.crashtime, text.osrelease) == (65536, 2, "6.1.0")
    assert text.release == Release(6, 1, 0)


@pytest.mark.parametrize("value", ["0", "4095", "3", "1073741824", "x"])
def test_a_page_size_that_is_no_power_of_two_is_an_error(value: str) -> None:
    with pytest.raises(FormatError):
        _ = info(f"PAGESIZE={value}").page_size


def test_absent_keys_are_none_or_named_when_needed() -> None:
    text = info("nothing")
    assert text.offset("page.flags", "page.other") is None
    assert text.length("x") is None
    assert text.crashtime == 0
    with pytest.raises(MissingInfoError, match="OSRELEASE"):
        _ = text.osrelease
    with pytest.raises(MissingInfoError, match="PAGESIZE"):
        _ = text.page_size


def test_the_last_line_may_end_without_a_newline_and_with_padding() -> None:
    assert Vmcoreinfo.parse(b"SIZE(page)=64\nLENGTH(x)=5\x00\x00").length("x") == 5


@pytest.mark.parametrize(
    ("text", "release"),
    [("2.6.24", (2, 6, 24)), ("6.1.0-56-amd64", (6, 1, 0)), ("7.2", (7, 2, 0)), ("5.10.0rc1", (5, 10, 0))],
)
def test_releases_compare_by_their_numbers(text: str, release: tuple[int, int, int]) -> None:
    assert Release.parse(text) == release
    assert Release.parse("4.9.300") < Release.parse("4.10")


@pytest.mark.parametrize("text", ["", "x", "6", "6.x", "999999.1"])
def test_what_is_no_release_is_an_error(text: str) -> None:
    with pytest.raises(FormatError, match="is not a kernel release"):
        Release.parse(text)
