# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever comes on standard input: the dump file that a plain reading gives, or none, in the memory of one buffer."""

from __future__ import annotations

import os
import shutil
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdf import rearrange
from mdf.rearrange import RearrangeError
from streams import (
    Record,
    applied,
    damaged_streams,
    said,
    size_of,
    some_records,
    stream,
    window,
    with_files,
    with_more_files,
)

MAX_DUMP_SIZE = 1 << 52
COMPARED = 1 << 20
buffers = st.sampled_from((4096, 5000, 65536))
reads = st.sampled_from((1, 15, 4096, 1 << 20))


@contextmanager
def folder_with(data: bytes) -> Iterator[tuple[Path, int]]:
    """An empty folder, and a descriptor that `data` is read from."""
    folder = Path(tempfile.mkdtemp(prefix="mdf-test-"))
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            yield folder, file.fileno()
    finally:
        shutil.rmtree(folder)


@contextmanager
def little_at_a_time(buffer: int, read: int) -> Iterator[None]:
    """A buffer that a record may exceed, and reads that give as little as a pipe may give."""
    readv = os.readv

    def short(source: int, views: list[memoryview]) -> int:
        return readv(source, [views[0][:read]])

    with mock.patch.object(rearrange, "BUFFER_SIZE", buffer), mock.patch("os.readv", short):
        yield


def assert_is(path: Path, records: list[Record]) -> None:
    """The file is the dump file of the records; of a large one, each record and its surroundings are compared."""
    size = size_of(records)
    assert path.stat().st_size == size
    if size < COMPARED:
        assert path.read_bytes() == applied(records)
        return
    with path.open("rb") as file:
        for offset, data in records:
            start = max(offset - 50, 0)
            file.seek(start)
            found = file.read(len(data) + 100)
            assert found == window(records, start, len(found))


@with_files
@given(records=some_records, buffer=buffers, read=reads)
def test_a_sound_stream_gives_the_file_of_its_records(records: list[Record], buffer: int, read: int) -> None:
    with folder_with(stream(records)) as (folder, source), little_at_a_time(buffer, read):
        rearrange.rearrange(source, str(folder / "dump"))
        assert [path.name for path in folder.iterdir()] == ["dump"]
        assert_is(folder / "dump", records)


@with_more_files
@given(data=damaged_streams(), buffer=buffers, read=reads, force=st.booleans())
def test_a_damaged_stream_gives_what_it_says_or_leaves_everything_as_it_was(
    data: bytes, buffer: int, read: int, force: bool
) -> None:
    records = said(data, MAX_DUMP_SIZE)
    with folder_with(data) as (folder, source), little_at_a_time(buffer, read):
        dump = folder / "dump"
        if force:
            dump.write_bytes(b"an older dump")
        try:
            rearrange.rearrange(source, str(dump), force)
        except RearrangeError:
            assert records is None
            assert [path.read_bytes() for path in folder.iterdir()] == [b"an older dump"] * force
        except OSError:
            # A file system may have no room for a high offset.
            assert records is None or size_of(records) > 1 << 40
            assert [path.read_bytes() for path in folder.iterdir()] == [b"an older dump"] * force
        else:
            assert records is not None
            assert [path.name for path in folder.iterdir()] == ["dump"]
            assert_is(dump, records)


@with_files
@given(records=some_records.filter(bool), cut=st.integers(0, 30000), buffer=buffers, read=reads)
def test_what_is_kept_of_a_stream_that_is_cut_off_is_what_came_and_never_has_the_final_name(
    records: list[Record], cut: int, buffer: int, read: int
) -> None:
    whole = stream(records)
    data = whole[: max(len(whole) - 1 - cut, 4096)]
    came, rest = [], len(data) - 4096
    for offset, piece in records:
        rest -= 16
        if rest > 0:
            came.append((offset, piece[:rest]))
        rest -= len(piece)
    with folder_with(data) as (folder, source), little_at_a_time(buffer, read):
        with pytest.raises(RearrangeError):
            rearrange.rearrange(source, str(folder / "dump"), keep_partial=True)
        assert [path.name for path in folder.iterdir()] == ["dump-incomplete"] * bool(came)
        if came:
            assert_is(folder / "dump-incomplete", came)


@with_files
@given(data=damaged_streams())
def test_the_memory_is_that_of_the_buffer(data: bytes) -> None:
    with folder_with(data) as (folder, source):
        tracemalloc.start()
        try:
            rearrange.rearrange(source, str(folder / "dump"))
        except (RearrangeError, OSError):
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak < rearrange.BUFFER_SIZE + (1 << 18)
