# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of zeros that a file need not hold: what is never written in it is read as zeros."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mdf.capture.sinks import Buffer

BLOCK = 64 << 10  # Nearly all zero pages of a real machine are in longer runs.
_ZEROS = bytes(BLOCK)


def stretches(buffers: Sequence[Buffer]) -> Iterator[tuple[int, Sequence[Buffer]]]:
    """The buffers, one behind the other, without their blocks of zeros: where each stretch of data begins, and it.

    The last byte is always data: a file is as long after the stretches as after the buffers. Blocks of `BLOCK` bytes,
    counted from the beginning of each buffer, are looked at; where there are no zeros, that is one byte of each.
    """
    at = begin = 0
    data: list[Buffer] = []
    for buffer in buffers:
        start = 0
        for block in _zero_blocks(buffer) if len(buffer) >= BLOCK else ():
            if start < block:
                data.append(memoryview(buffer)[start:block])
            if data:
                yield begin, data
            start = block + BLOCK
            begin, data = at + start, []
        if start < len(buffer):
            data.append(memoryview(buffer)[start:] if start else buffer)
        at += len(buffer)
    if data:
        yield begin, data
    elif at:
        yield at - 1, [b"\x00"]


def _zero_blocks(buffer: Buffer) -> list[int]:
    blocks = range(0, len(buffer) - BLOCK + 1, BLOCK)
    return [at for at in blocks if not buffer[at] and _ZEROS.startswith(memoryview(buffer)[at : at + BLOCK])]
