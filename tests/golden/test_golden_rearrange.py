# SPDX-License-Identifier: GPL-2.0-or-later
"""Flattened dumps of real vmcores become the reference's dump files, byte for byte, whoever wrote the stream."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from children import environment
from corpus import corpus_items, expected, vmcore
from factory import flatten
from mdf import rearrange
from mdf.capture import Options, capture

REFERENCE = shutil.which("makedumpfile", path="/usr/sbin:/usr/bin:/sbin:/bin")
PERL_SCRIPT = shutil.which("makedumpfile-R.pl", path="/usr/sbin:/usr/bin:/sbin:/bin")
pytestmark = pytest.mark.usefixtures("supported")
ITEMS = corpus_items()
# Those that the makedumpfile of an x86_64 machine reads.
READ_BY_REFERENCE = corpus_items("x86_64")
FORMATS = ("levels", "elf")
OURS = (sys.executable, "-m", "makedumpfile", "-R")
REARRANGERS = [
    tuple(map(str, command)) for command in ((), OURS, (REFERENCE, "-R"), (PERL_SCRIPT,)) if not command or command[0]
]


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)  # Hundreds of megabytes each.


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rearranged(stream: Path, *command: str) -> Path:
    """What a command makes of a stream; our own without one."""
    dump = stream.with_name("dump")
    words = command or (sys.executable, "-I", "-S", rearrange.__file__)
    with stream.open("rb") as source:
        result = subprocess.run([*words, dump], stdin=source, env=environment(), capture_output=True, check=False)
    assert result.returncode == 0, result
    return dump


def answer(item: str, form: str) -> Any:
    return expected(item)[form]["31"]


@pytest.mark.skipif(REFERENCE is None, reason="no makedumpfile of the distribution is installed")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("item", READ_BY_REFERENCE)
def test_a_stream_of_the_reference_becomes_the_direct_file(item: str, form: str, scratch: Path) -> None:
    options = ["-E"] if form == "elf" else []
    stream = scratch / "stream"
    with stream.open("wb") as file:
        command = [str(REFERENCE), "-F", "-d", "31", *options, str(vmcore(item))]
        subprocess.run(command, stdout=file, stderr=subprocess.DEVNULL, check=True)
    with_ours = sha256(rearranged(stream))
    (scratch / "dump").unlink()
    assert with_ours == sha256(rearranged(stream, str(REFERENCE), "-R"))


def shuffled_stream(item: str, form: str, scratch: Path) -> Path:
    """A stream whose records come backwards, of the reference's dump as we make it."""
    direct = scratch / "direct"
    capture(Options(vmcore(item), direct, dump_levels=(31,), elf=form == "elf"))
    assert sha256(direct) == answer(item, form)["sha256"]
    stream = scratch / "stream"
    stream.write_bytes(flatten(direct))
    direct.unlink()
    return stream


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("item", ITEMS)
def test_records_that_come_backwards_give_the_references_file_with_holes(item: str, form: str, scratch: Path) -> None:
    dump = rearranged(shuffled_stream(item, form, scratch))
    assert sha256(dump) == answer(item, form)["sha256"]
    assert dump.stat().st_blocks * 512 < dump.stat().st_size


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("item", ITEMS)
def test_our_stream_becomes_the_direct_file_for_every_rearranger(item: str, form: str, scratch: Path) -> None:
    stream = scratch / "stream"
    words = [sys.executable, "-m", "makedumpfile", "-F", "-d31", *["-E"] * (form == "elf"), str(vmcore(item))]
    with stream.open("wb") as file:
        subprocess.run(words, stdout=file, stderr=subprocess.DEVNULL, env=environment(), check=True)
    for command in REARRANGERS:
        dump = rearranged(stream, *command)
        assert sha256(dump) == answer(item, form)["sha256"], command
        dump.unlink()


@pytest.mark.parametrize("item", READ_BY_REFERENCE[:1])
def test_other_rearrangers_and_makedumpfile_itself_agree(item: str, scratch: Path) -> None:
    stream = shuffled_stream(item, "levels", scratch)
    for command in REARRANGERS:
        dump = rearranged(stream, *command)
        assert sha256(dump) == answer(item, "levels")["sha256"], command
        dump.unlink()
