# SPDX-License-Identifier: GPL-2.0-or-later
"""Flattened streams as tests make and damage them, and a plain reading of them to compare with."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st

Record = tuple[int, bytes]

HEADER = (b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)).ljust(4096, b"\0")
END = struct.pack(">qq", -1, -1)


# Files take their time; nothing is left in the folder that the tests run in.
with_files = settings(deadline=None, database=None)
with_more_files = settings(with_files, max_examples=400)


def body(records: Iterable[Record]) -> bytes:
    """The records as they are in a stream."""
    return b"".join(struct.pack(">qq", offset, len(data)) + data for offset, data in records)


def stream(records: Iterable[Record]) -> bytes:
    """A whole stream."""
    return HEADER + body(records) + END


def said(data: bytes, top: int) -> list[Record] | None:
    """The records of a stream; None if it is not sound, or has a record that ends above `top`."""
    if data[:24] != HEADER[:24]:
        return None
    records: list[Record] = []
    position = len(HEADER)
    while len(data) >= position + 16:
        offset, size = struct.unpack_from(">qq", data, position)
        position += 16
        if (offset, size) == (-1, -1):
            return records
        if offset < 0 or size <= 0 or offset + size > top or position + size > len(data):
            return None
        records.append((offset, data[position : position + size]))
        position += size
    return None


def size_of(records: Iterable[Record]) -> int:
    """The size of the dump file of records."""
    return max((offset + len(data) for offset, data in records), default=0)


def window(records: Iterable[Record], start: int, size: int) -> bytes:
    """Bytes [start, start + size) of the dump file: each record is put where it belongs, one after the other."""
    result = bytearray(size)
    for offset, data in records:
        first, last = max(offset, start), min(offset + len(data), start + size)
        if first < last:
            result[first - start : last - start] = data[first - offset : last - offset]
    return bytes(result)


def applied(records: list[Record]) -> bytes:
    """The dump file of records."""
    return window(records, 0, size_of(records))


_SIZES = st.sampled_from((1, 24, 384, 4095, 4096, 4097)) | st.integers(1, 9000)
_OFFSETS = st.sampled_from((0, 1, 4096, 8192, 16384)) | st.integers(0, 40000)
_PIECES = st.builds(bytes.__mul__, st.sampled_from((b"\0", b"\7", b"\0\1")), _SIZES) | st.binary(
    min_size=1, max_size=99
)
_DATA = st.lists(_PIECES, min_size=1, max_size=2).map(b"".join)

# Overlapping, out of order, with gaps, and some of them twice.
some_records: st.SearchStrategy[list[Record]] = st.lists(st.tuples(_OFFSETS, _DATA), max_size=6).flatmap(
    lambda records: st.lists(st.sampled_from(records), max_size=8) if records else st.just(records)
)

_NUMBERS = st.sampled_from((-(1 << 63), -2, -1, 0, 1, 1 << 31, 1 << 40, (1 << 52) - 1, 1 << 62, (1 << 63) - 1))


@st.composite
def damaged_streams(draw: st.DrawFn) -> bytes:
    """Streams that are cut off, changed in some bytes, or have records nobody would write; a few are sound."""
    records = draw(some_records)
    pieces = [body([record]) for record in records]
    for _ in range(draw(st.integers(0, 2))):
        hostile = struct.pack(">qq", draw(_NUMBERS), draw(_NUMBERS)) + draw(st.just(b"") | st.binary(max_size=50))
        pieces.insert(draw(st.integers(0, len(pieces))), hostile)
    data = bytearray(HEADER + b"".join(pieces) + END + draw(st.binary(max_size=20)))
    for _ in range(draw(st.integers(0, 2))):
        position = draw(st.integers(0, 31) | st.integers(len(HEADER), len(data) - 1))
        data[position] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])
