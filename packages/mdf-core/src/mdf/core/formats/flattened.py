# SPDX-License-Identifier: GPL-2.0-or-later
"""The flattened format: a dump as a stream of records, each with the offset where its data belongs.

Numbers are big endian on every machine. Records come in the order of writing; later ones win, gaps are zeros.
"""

from __future__ import annotations

import struct

SIGNATURE = b"makedumpfile".ljust(16, b"\x00")
HEADER_SIZE = 4096
TYPE = 1
VERSION = 1
END = -1

_HEADER = struct.Struct(">16sqq")
_RECORD = struct.Struct(">qq")
RECORD_SIZE = _RECORD.size


def pack_header() -> bytes:
    """What a stream begins with."""
    return _HEADER.pack(SIGNATURE, TYPE, VERSION).ljust(HEADER_SIZE, b"\x00")


def parse_type(header: bytes) -> int:
    """The type of the stream that a header is of."""
    return int(_HEADER.unpack_from(header)[1])


def parse_record(data: bytes) -> tuple[int, int]:
    """The offset and the size of a record."""
    offset, size = _RECORD.unpack(data)
    return offset, size


def pack_record(offset: int, size: int) -> bytes:
    """What stands before `size` bytes that belong at `offset`; both are `END` at the end of a stream."""
    return _RECORD.pack(offset, size)
