# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from mdf.core.commandline import INVALID, message_level, parse, writes_to_stdout
from mdf.core.errors import UsageError


def test_short_options_may_be_bundled_with_an_argument_at_the_end() -> None:
    parsed = parse(["-Fcd31", "vmcore"])
    assert parsed.given == (("flattened", ""), ("zlib", ""), ("dump_levels", "31"))
    assert parsed.operands == ("vmcore",)


def test_options_may_follow_operands_until_two_dashes() -> None:
    parsed = parse(["vmcore", "-c", "--", "-d"])
    assert parsed.operands == ("vmcore", "-d")
    assert parsed.has("zlib")
    assert not parsed.has("dump_levels")


@pytest.mark.parametrize(
    ("word", "name"),
    [("--check-p", "check_params"), ("--mem", "mem_usage"), ("--xen-v=f", "xen_vmcoreinfo"), ("--split", "split")],
)
def test_long_options_may_be_abbreviated_while_unique(word: str, name: str) -> None:
    assert parse([word]).last(name) is not None


@pytest.mark.parametrize("argv", [["--num-threads=4"], ["--num-threads", "4"]])
def test_a_long_option_takes_its_argument_in_both_ways(argv: list[str]) -> None:
    assert parse(argv).last("num_threads") == "4"


@pytest.mark.parametrize("word", ["-q", "--foo", "--xen", "--spli", "-d", "--work-dir", "--help=yes"])
def test_what_cannot_be_parsed_is_a_usage_error_with_the_known_text(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([word])
    assert caught.value.hint == INVALID
    assert word.lstrip("-").split("=")[0] in str(caught.value)


def test_the_last_use_counts_and_all_uses_are_kept() -> None:
    parsed = parse(["-d", "1", "--diskset=a", "-d", "31", "--diskset=b"])
    assert parsed.last("dump_levels") == "31"
    assert parsed.every("disk_set") == ("a", "b")


def test_the_last_of_several_options_is_found() -> None:
    parsed = parse(["-c", "-i", "a", "-l", "--xen-vmcoreinfo", "b"])
    assert parsed.last("vmcoreinfo", "xen_vmcoreinfo") == "b"
    assert parsed.last_of(("zlib", "lzo")) == "lzo"
    assert parsed.last_of(("snappy",)) is None


@pytest.mark.parametrize(("argument", "given"), [("0", False), ("abc", False), ("-2", False), ("2", True)])
def test_no_threads_is_as_good_as_not_asking_for_threads(argument: str, given: bool) -> None:
    assert parse(["--num-threads", argument]).has("num_threads") is given


def test_an_implied_option_is_there_without_being_given() -> None:
    assert parse([], "dump_dmesg").has("dump_dmesg")


@pytest.mark.parametrize(
    ("argv", "there"),
    [
        (["-F"], True),
        (["-cqF"], True),
        (["--foo", "-cF"], True),
        (["--Foo"], False),
        (["-xF"], False),
        (["F", "-"], False),
        (["-c"], False),
    ],
)
def test_writing_to_stdout_is_known_even_if_the_arguments_are_wrong(argv: list[str], there: bool) -> None:
    assert writes_to_stdout(argv) is there


@pytest.mark.parametrize(
    ("argv", "level"),
    [
        ([], 7),
        (["-D"], 15),
        (["--show-stats"], 23),
        (["-D", "--message-level", "0"], 8),
        (["--message-level", "1", "--message-level", "6"], 6),
        (["--message-level", "0", "--check-params"], 7),
        (["--check-params", "--message-level", "99", "-D"], 7),
    ],
)
def test_the_message_level_collects_its_bits(argv: list[str], level: int) -> None:
    assert message_level(parse(argv)) == level


def test_a_message_level_before_check_params_is_checked() -> None:
    with pytest.raises(UsageError, match="Message_level"):
        message_level(parse(["--message-level", "99", "--check-params"]))
