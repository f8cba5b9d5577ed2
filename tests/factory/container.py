# SPDX-License-Identifier: GPL-2.0-or-later
"""An ELF64 file's headers and notes in big endian around unchanged memory, as QEMU writes those of ppc64le machines."""

import struct
from pathlib import Path

_EI_DATA, _ELFDATA2MSB, _PT_NOTE = 5, 2, 4


def make_headers_big_endian(vmcore: Path) -> None:
    """Change a little-endian ELF64 vmcore in place."""
    with vmcore.open("r+b") as file:
        header = list(struct.unpack("<16sHHIQQQIHHHHHH", file.read(64)))
        header[0] = header[0][:_EI_DATA] + bytes([_ELFDATA2MSB]) + header[0][_EI_DATA + 1 :]
        file.seek(0)
        file.write(struct.pack(">16sHHIQQQIHHHHHH", *header))
        offset, count = header[5], header[10]
        file.seek(offset)
        loads = [struct.unpack("<IIQQQQQQ", file.read(56)) for _ in range(count)]
        file.seek(offset)
        file.write(b"".join(struct.pack(">IIQQQQQQ", *load) for load in loads))
        for type_, _, start, _, _, size, _, _ in loads:
            if type_ == _PT_NOTE:
                file.seek(start)
                notes = _notes(bytearray(file.read(size)))
                file.seek(start)
                file.write(notes)


def _notes(data: bytearray) -> bytes:
    at = 0
    while at + 12 <= len(data):
        words = struct.unpack_from("<III", data, at)
        struct.pack_into(">III", data, at, *words)
        at += 12 + (words[0] + 3 & ~3) + (words[1] + 3 & ~3)
    return bytes(data)
