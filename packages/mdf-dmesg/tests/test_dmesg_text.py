# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json

import pytest

from mdf.dmesg.record import Record
from mdf.dmesg.text import TextFormat, as_json

CPU = 1 << 31


def line(record: Record, machine: str = "x86_64") -> bytes:
    return TextFormat(machine)(record)


@pytest.mark.parametrize(
    ("ts_nsec", "caller_id", "prefix"),
    [
        (0, None, b"[    0.000000] "),
        (1_999_999_999, None, b"[    1.999999] "),
        (123456_000_001_000, None, b"[123456.000001] "),
        ((1 << 64) - 1, None, b"[18446744073.709551] "),
        (0, 0, b"[    0.000000] [      T0] "),
        (0, CPU | 3, b"[    0.000000] [      C3] "),
        (0, 12345678, b"[    0.000000] [T12345678] "),
        (0, CPU - 1, b"[    0.000000] [T2147483647] "),
    ],
)
def test_time_and_caller_stand_in_front(ts_nsec: int, caller_id: int | None, prefix: bytes) -> None:
    assert line(Record(b"text", ts_nsec, caller_id)) == prefix + b"text\n"
    assert line(Record(b"", ts_nsec, caller_id)) == prefix + b"\n"


def test_further_lines_of_a_record_are_indented_by_the_prefix() -> None:
    assert line(Record(b"one\ntwo\n\nfour", 0)) == b"[    0.000000] one\n" + b" " * 15 + b"two\n" + b" " * 15 + (
        b"\n" + b" " * 15 + b"four\n"
    )
    assert line(Record(b"one\n", 0, 1)) == b"[    0.000000] [      T1] one\n" + b" " * 26 + b"\n"


def test_printable_bytes_and_white_space_stay_and_control_bytes_are_escaped() -> None:
    plain = bytes(range(0x20, 0x7F)) + b"\t\v\f\r"
    assert line(Record(plain, 0))[15:-1] == plain
    assert line(Record(b"\x1b[1m\x07\0\x7f\\x", 0))[15:] == rb"\x1b[1m\x07\x00\x7f\x" + b"\n"


@pytest.mark.parametrize("machine", ["x86_64", "i686", "loongarch64"])
def test_where_char_is_signed_a_high_byte_is_escaped_with_its_sign(machine: str) -> None:
    assert line(Record("é".encode(), 0), machine)[15:] == rb"\xffffffc3\xffffffa9" + b"\n"


@pytest.mark.parametrize("machine", ["aarch64", "arm", "ppc64", "s390x", "riscv64"])
def test_where_char_is_unsigned_a_high_byte_is_escaped_by_two_digits(machine: str) -> None:
    assert line(Record("é".encode(), 0), machine)[15:] == rb"\xc3\xa9" + b"\n"


def test_a_line_of_the_plain_ring_is_left_as_it_is() -> None:
    text = b"<6>[    1.5] \x1b\xe9\n"
    assert line(Record(text)) == text
    assert line(Record(b"cut")) == b"cut"


def test_json_has_what_the_kernel_has_in_one_line() -> None:
    record = json.loads(as_json(Record("é\none \xff".encode("latin1") + b"\xc3\xa9", 1500, CPU | 7)))
    assert record == {"ts_nsec": 1500, "caller": "C7", "text": "\\xe9\none \\xffé"}
    assert as_json(Record(b"<6>plain\n")) == b'{"text": "<6>plain"}\n'
    assert as_json(Record(b"a\nb", 0)).count(b"\n") == 1
