# SPDX-License-Identifier: GPL-2.0-or-later
"""Flattened streams as they leave the process: through pipes, to readers that are slow or go away, to a full device."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from captures import command, dump_of
from children import environment
from factory import Spec, Vmcore, build, random_layout
from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError

# The level, and how the same dump is asked for as a file.
FORMS: dict[str, tuple[int, dict[str, Any]]] = {
    "-d31": (31, {}),
    "-cd1": (1, {"compression": "zlib"}),
    "-cd1 --num-threads=3": (1, {"compression": "zlib"}),
    "-Ed31": (31, {"elf": True}),
}


@pytest.fixture(scope="module")
def core() -> Vmcore:
    return build(random_layout(Spec(), seed=12))


@pytest.fixture(scope="module")
def vmcore(core: Vmcore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return core.elf(tmp_path_factory.mktemp("memory") / "vmcore")


def sender(vmcore: Path, *options: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command("-F", *options, vmcore), env=environment(), stdout=stdout, stderr=subprocess.PIPE)


def dump_in(stream: Path) -> bytes:
    """What a stream holds. Raises FormatError if it has no end."""
    source = FlattenedSource(Source(stream))
    data = source.read(0, source.size, "all")
    source.close()
    return data


@pytest.mark.parametrize("options", FORMS)
def test_what_a_slow_reader_of_a_pipe_gets_is_the_file(
    options: str, core: Vmcore, vmcore: Path, tmp_path: Path
) -> None:
    level, form = FORMS[options]
    dump_of(core, vmcore, tmp_path / "dump", level, **form)
    with sender(vmcore, *options.split()) as process, (tmp_path / "stream").open("wb") as stream:
        assert process.stdout
        assert process.stderr
        while data := os.read(process.stdout.fileno(), 5000):
            stream.write(data)
        errors = process.stderr.read().decode()
    assert process.returncode == 0
    assert errors.endswith("\nThe dumpfile is saved to STDOUT.\n\nmakedumpfile Completed.\n")
    assert dump_in(tmp_path / "stream") == (tmp_path / "dump").read_bytes()


@pytest.mark.parametrize("options", FORMS)
def test_a_reader_that_goes_away_is_one_line_and_status_1(options: str, vmcore: Path) -> None:
    with sender(vmcore, "--message-level=4", *options.split()) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(5000).startswith(b"makedumpfile\0")
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (1, b"The reader of the output went away.\n")


@pytest.mark.parametrize("options", ["-d31", "-Ed31", "-d31,1"])
def test_a_full_device_is_one_line_and_no_other_level_is_tried(options: str, vmcore: Path) -> None:
    with open("/dev/full", "wb") as full, sender(vmcore, "--message-level=6", options, stdout=full.fileno()) as process:
        assert process.stderr
        errors = process.stderr.read().decode()
    assert process.returncode == 1
    assert "Can't write the dump file(STDOUT). No space left on device\n" in errors
    assert "Retry" not in errors
    assert errors.endswith("\nmakedumpfile Failed.\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize("options", ["-d31", "-Ed31"])
@pytest.mark.parametrize("limit", ["3k", "200k"])
def test_a_stream_that_reaches_its_size_limit_has_no_end(
    options: str, limit: str, vmcore: Path, tmp_path: Path
) -> None:
    stream = tmp_path / "stream"
    with stream.open("wb") as file, sender(vmcore, options, "-L", limit, stdout=file.fileno()) as process:
        assert process.stderr
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 1
    assert stream.stat().st_size == int(limit[:-1]) << 10
    with pytest.raises(FormatError):
        dump_in(stream)
