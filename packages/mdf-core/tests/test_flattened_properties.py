# SPDX-License-Identifier: GPL-2.0-or-later
"""Flattened streams read in place: what a plain reading gives, or an error that is ours."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdf.core.dumps.flattened import FlattenedSource
from mdf.core.dumps.source import Source
from mdf.core.errors import FormatError
from mdf.core.formats.flattened import SIGNATURE
from streams import Record, damaged_streams, said, size_of, some_records, stream, window, with_files, with_more_files

TOP = 1 << 56
# From here on, a small stream would be of nothing but holes.
HOLES = 64 << 20


@contextmanager
def raw(data: bytes) -> Iterator[Source]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        source = Source(Path(file.name))
        yield source
        source.close()


@with_files
@given(records=some_records, places=st.lists(st.tuples(st.integers(0, 50000), st.integers(0, 20000)), max_size=5))
def test_any_place_reads_as_in_the_rearranged_file(records: list[Record], places: list[tuple[int, int]]) -> None:
    with raw(stream(records)) as source:
        flat = FlattenedSource(source)
        size = size_of(records)
        assert flat.size == size
        assert flat.read(0, size, "all") == window(records, 0, size)
        for start, length in places:
            if start + length <= size:
                assert flat.read(start, length, "a place") == window(records, start, length)
            else:
                with pytest.raises(FormatError, match="truncated"):
                    flat.read(start, length, "a place")


@with_more_files
@given(data=damaged_streams())
def test_a_damaged_stream_is_what_it_says_or_an_error(data: bytes) -> None:
    records = said(data, TOP)
    with raw(data) as source:
        if not source.begins_with(SIGNATURE):
            assert records is None
            return
        try:
            flat = FlattenedSource(source)
        except FormatError:
            assert records is None or size_of(records) > HOLES
            return
        assert records is not None
        assert flat.size == size_of(records)
        for offset, piece in records:
            length = min(len(piece) + 50, flat.size - offset)
            assert flat.read(offset, length, "a record") == window(records, offset, length)


@with_files
@given(data=damaged_streams())
def test_the_memory_does_not_follow_what_the_stream_says(data: bytes) -> None:
    with raw(data) as source:
        tracemalloc.start()
        try:
            FlattenedSource(source)
        except FormatError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak < 1 << 16


def test_many_records_cost_little_memory_each() -> None:
    count = 20000
    records = [(16 * number, b"0123456789abcdef") for number in range(count)]
    with raw(stream(records[::-1])) as source:
        tracemalloc.start()
        flat = FlattenedSource(source)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert flat.read(0, flat.size, "all") == b"0123456789abcdef" * count
    assert peak < 120 * count
