# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes flattened streams out of files: big-endian records of offset and size, in any order, later ones winning."""

from __future__ import annotations

import struct
from pathlib import Path

HEADER = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
HEADER_SIZE = 4096
END = struct.pack(">qq", -1, -1)


def flatten(file: Path | str | bytes, record: int = 61440, *, shuffled: bool = True) -> bytes:
    """The stream of a file's bytes in records of `record` bytes.

    `shuffled`: records go backwards, and the first range is written twice, with garbage the first time.
    All-zero records are left out, as holes, except the last one of the file, which gives it its size.
    """
    data = file if isinstance(file, bytes) else Path(file).read_bytes()
    starts = list(range(0, len(data), record))
    kept = [start for start in starts if start == starts[-1] or data[start : start + record].strip(b"\0")]
    out = [HEADER.ljust(HEADER_SIZE, b"\0")]
    if shuffled:
        kept.reverse()
        garbage = b"\xee" * min(16, len(data))
        out += [struct.pack(">qq", 0, len(garbage)), garbage]
    for start in kept:
        piece = data[start : start + record]
        out += [struct.pack(">qq", start, len(piece)), piece]
    if shuffled and starts and 0 not in kept:
        out += [struct.pack(">qq", 0, 16), data[:16]]
    return b"".join((*out, END))
