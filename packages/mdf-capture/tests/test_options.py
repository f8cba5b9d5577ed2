# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from mdf.capture.options import NOT_YET, Options
from mdf.core.commandline import INVALID
from mdf.core.errors import UnsupportedError, UsageError


def test_the_defaults_are_those_of_the_command_line() -> None:
    assert Options.from_argv(["vmcore", "dump"]) == Options(Path("vmcore"), Path("dump"))


def test_options_become_fields() -> None:
    argv = "-fcd1,31 vmcore --work-dir /w dump --cyclic-buffer 64 -b 5 --num-threads 2 --non-mmap --vtop 0x10 -D"
    assert Options.from_argv(argv.split()) == Options(
        Path("vmcore"),
        Path("dump"),
        dump_levels=(1, 31),
        compression="zlib",
        force=True,
        message_level=15,
        vtop=16,
        work_dir=Path("/w"),
        cyclic_buffer=64,
        block_order=5,
        num_threads=2,
        non_mmap=True,
    )


@pytest.mark.parametrize(("flags", "name"), [("-c", "zlib"), ("-cl", "lzo"), ("-lp", "snappy"), ("-cz", "zstd")])
def test_the_last_compression_counts(flags: str, name: str) -> None:
    assert Options.from_argv([flags, "vmcore", "dump"]).compression == name


def test_zero_turns_options_off() -> None:
    argv = "--vtop 0 --cyclic-buffer 0 --num-threads -3 -d abc vmcore dump"
    assert Options.from_argv(argv.split()) == Options(Path("vmcore"), Path("dump"), num_threads=0)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("-d 32 v d", "Dump_level(32) is invalid."),
        ("-d 32 -d 31 v d", "Dump_level(32) is invalid."),
        ("-L 0 v d", "Limit size(0) is invalid."),
        ("--message-level 32 v d", "Message_level(32) is invalid."),
        ("-d 32 -c -E v d", "Dump_level(32) is invalid."),
    ],
)
def test_a_bad_value_is_refused_before_anything_else(argv: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options.from_argv(argv.split())
    assert (str(caught.value), caught.value.hint) == (sentence, None)


@pytest.mark.parametrize("argv", ["", "v", "v d x", "-F v d", "-c -E v d", "-x k -i i v d", "-F --split v", "-e v d"])
def test_a_violated_parameter_check_carries_the_known_text(argv: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options.from_argv(argv.split())
    assert caught.value.hint == INVALID


# One command line for each row of the table.
ASKING = {
    "flattened": "-F v",
    "dry_run": "--dry-run v d",
    "size_limit": "-L 1M v d",
    "vmlinux": "-x k v d",
    "vmcoreinfo": "-i i v d",
    "exclude_unused_vmemmap": "-e --work-dir /w v d",
    "erase_config": "--config f -x k v d",
    "eppic": "--eppic f v d",
    "extensions": "--extension f.so v d",
    "disk_set": "--diskset=a --diskset=b d",
    "mem_usage": "--mem-usage v",
}


def test_a_row_for_what_is_not_there_yet_names_a_field() -> None:
    assert set(NOT_YET) <= {field.name for field in fields(Options)}
    assert set(NOT_YET) <= set(ASKING)


@pytest.mark.parametrize("field", sorted(ASKING))
def test_what_is_not_there_yet_is_refused_and_the_rest_is_not(field: str) -> None:
    argv = ASKING[field].split()
    if field not in NOT_YET:
        default = next(known.default for known in fields(Options) if known.name == field)
        assert getattr(Options.from_argv(argv), field) != default
        return
    with pytest.raises(UnsupportedError, match="is not there yet") as caught:
        Options.from_argv(argv)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ("--split v a b", "mdf-split"),
        ("-X v d", "mdf-xen"),
        ("--dump-dmesg v d", "mdf-dmesg"),
        ("-R d", "mdf-rearrange"),
    ],
)
def test_another_command_is_named_for_what_it_does(argv: str, command: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        Options.from_argv(argv.split())
    assert caught.value.hint == f"{command} does."


def test_options_cannot_be_changed() -> None:
    options = Options(Path("vmcore"))
    with pytest.raises(FrozenInstanceError):
        options.elf = True  # type: ignore[misc]
