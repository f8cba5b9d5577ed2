# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF notes."""

from __future__ import annotations

from factory.layout import ByteOrder
from factory.spec import Note

NT_PRSTATUS = 1


def note_bytes(note: Note, byteorder: ByteOrder) -> bytes:
    """A note as in the file: three 32-bit words, then name and descriptor, each padded to 4 bytes."""
    name = note.name.encode() + b"\0"
    head = b"".join(value.to_bytes(4, byteorder) for value in (len(name), len(note.desc), note.type))
    return head + _pad(name) + _pad(note.desc)


def prstatus(cpu: int, bits: int) -> Note:
    """The registers of a CPU; only their size and the CPU's number in them are like a kernel's."""
    return Note(
        "CORE", NT_PRSTATUS, bytes(32) + (cpu + 1).to_bytes(4, "little") + bytes((336 if bits == 64 else 144) - 36)
    )


def _pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
