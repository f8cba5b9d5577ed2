# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from mdf.core.commandline import INVALID, parse
from mdf.core.errors import UnsupportedError, UsageError
from mdf.core.lenient import LiteralUsageError
from mdf.core.options import OPTIONS, Mode
from mdf.core.rules import COMMANDS, MODE_OPTIONS, RULES, check, expect_mode, mode_of

KNOWN = Path(__file__).with_name("parameter_check.txt")


def accepted(arguments: str) -> bool:
    try:
        check(parse(arguments.split()))
    except UsageError:
        return False
    return True


def test_all_pairs_of_options_are_accepted_and_refused_as_scripts_know() -> None:
    lines = [line for line in KNOWN.read_text().splitlines() if not line.startswith("#")]
    options = lines[0].removeprefix("options: ").split(", ")
    known = {}
    for line in lines[1:]:
        counts, _, combination = line.partition(": ")
        known[combination] = {int(count) for count in counts.split(",")}
        if "--reassemble" in combination and mode_of(parse(combination.split())) is Mode.REASSEMBLE:
            # An output without any input was accepted, and failed later.
            known[combination] -= {1}
    for size in range(3):
        for combination in map(" ".join, combinations(options, size)):
            counted = {count for count in range(4) if accepted(f"{combination} {'file ' * count}")}
            assert counted == known.get(combination, set()), combination


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--num-threads 2 --split v a b", "--num-threads cannot used with --split."),
        ("--num-threads 2 -E v a", "--num-threads cannot used with ELF format."),
        ("-e v a", "-e requires --work-dir"),
        ("--split -E v a b", "Options for splitting dumpfile cannot be used with Elf format."),
        ("--dry-run --dump-dmesg v a", "--dry-run cannot be used with --dump-dmesg."),
        ("--dry-run --reassemble a b", "--dry-run cannot be used with --reassemble."),
        ("--dry-run -g a -x b", "--dry-run cannot be used with -g."),
    ],
)
def test_some_combinations_are_refused_with_a_known_line(arguments: str, line: str) -> None:
    with pytest.raises(LiteralUsageError) as caught:
        check(parse(arguments.split()))
    assert (str(caught.value), caught.value.hint) == (line, INVALID)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("-c -E v a", "-E cannot be used with -c"),
        ("--config f v a", "--config needs -x"),
        ("-g f", "-g needs -x or --xen-syms"),
        ("v", "wrong number of operands: v"),
        ("", "wrong number of operands: none"),
    ],
)
def test_other_combinations_are_refused_with_a_line_that_says_why(arguments: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(parse(arguments.split()))
    assert not isinstance(caught.value, LiteralUsageError)
    assert (str(caught.value), caught.value.hint) == (line, INVALID)


@pytest.mark.parametrize(
    ("arguments", "mode"),
    [
        ("v a", Mode.CAPTURE),
        ("--split v a b", Mode.SPLIT),
        ("--split -X v a b", Mode.XEN),
        ("--mem-usage --split v", Mode.MEM_USAGE),
        ("--mem-usage --dump-dmesg v", Mode.DMESG),
        ("--dump-dmesg --reassemble a b", Mode.REASSEMBLE),
        ("--reassemble -R a", Mode.REARRANGE),
        ("-R -g a", Mode.GENERATE),
        ("-g '' -x b", Mode.GENERATE),
    ],
)
def test_the_mode_is_decided_in_a_fixed_order(arguments: str, mode: Mode) -> None:
    assert mode_of(parse(arguments.split())) is mode


def test_another_mode_names_the_command_that_has_it() -> None:
    parsed = parse(["--dump-dmesg", "v", "a"])
    expect_mode(parsed, Mode.DMESG, "mdf-dmesg")
    with pytest.raises(UnsupportedError, match=r"^mdf-capture does not do --dump-dmesg\.$") as caught:
        expect_mode(parsed, Mode.CAPTURE, "mdf-capture")
    assert caught.value.hint == "mdf-dmesg does."


def test_the_tables_name_options_that_exist() -> None:
    names = {option.name for option in OPTIONS}
    assert {name for name, _ in MODE_OPTIONS} <= names
    for rules in RULES.values():
        for rule in rules:
            assert {rule.option, *rule.forbids, *rule.needs} <= names


def test_every_mode_has_a_command() -> None:
    assert set(COMMANDS) == {mode for _, mode in MODE_OPTIONS} | {Mode.CAPTURE}
