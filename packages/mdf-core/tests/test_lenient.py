# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from mdf.core import lenient
from mdf.core.lenient import LiteralUsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [("31", 31), ("abc", 0), ("", 0), ("  7x", 7), ("-3", -3), ("+3", 3), ("0x1f", 0), ("031", 31), ("-", 0)],
)
def test_a_decimal_number_is_read_as_far_as_it_goes(text: str, value: int) -> None:
    assert lenient.atoi(text) == value


def test_a_count_is_never_negative() -> None:
    assert (lenient.count("-3"), lenient.count("3")) == (0, 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0xffffffff81000000", 0xFFFFFFFF81000000),
        ("0X10", 16),
        ("010", 8),
        ("10", 10),
        ("0", 0),
        ("0x", 0),
        ("xyz", 0),
        ("-1", 0xFFFFFFFFFFFFFFFF),
        ("0x1ffffffffffffffff", 0xFFFFFFFFFFFFFFFF),
    ],
)
def test_an_address_takes_the_prefixes_of_c(text: str, value: int) -> None:
    assert lenient.address(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("4k", 4 << 10), ("1M", 1 << 20), ("2g", 2 << 30), ("3T", 3 << 40), ("1p", 1 << 50), ("15E", 15 << 60)],
)
def test_a_size_has_a_suffix_of_either_case(text: str, value: int) -> None:
    assert lenient.size(text) == value


def test_a_hexadecimal_size_may_end_in_e() -> None:
    assert lenient.size("0x1E") == 0x1E
    assert lenient.size("0x10K") == 16 << 10


@pytest.mark.parametrize("text", ["0", "", "K", "5Kx", "1kB", "1.5G", "-1", "16E", "1EE", "0x", "99999999999999999999"])
def test_a_bad_size_is_refused_with_the_known_sentence(text: str) -> None:
    with pytest.raises(LiteralUsageError) as caught:
        lenient.size(text)
    assert str(caught.value) == f"Limit size({text}) is invalid."
    assert caught.value.hint is None


def test_dump_levels_are_a_list_in_its_order() -> None:
    assert lenient.dump_levels("1,,31") == (1, 31)
    assert lenient.dump_levels("abc") == (0,)
    assert lenient.dump_levels(",") == (0,)
    assert len(lenient.dump_levels(",".join(["31"] * 32))) == 32


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("32", "Dump_level(32) is invalid."),
        ("-1", "Dump_level(-1) is invalid."),
        ("1,33,99", "Dump_level(33) is invalid."),
        (",".join(["1"] * 33), "Dump_level is invalid."),
    ],
)
def test_a_bad_dump_level_is_refused_with_the_known_sentence(text: str, sentence: str) -> None:
    with pytest.raises(LiteralUsageError) as caught:
        lenient.dump_levels(text)
    assert str(caught.value) == sentence


def test_a_message_level_is_0_to_31() -> None:
    assert [lenient.message_level(text) for text in ("0", "31", "abc")] == [0, 31, 0]
    for text in ("32", "-1"):
        with pytest.raises(LiteralUsageError, match=rf"^Message_level\({text}\) is invalid\.$"):
            lenient.message_level(text)
