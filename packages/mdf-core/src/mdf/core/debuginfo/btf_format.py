# SPDX-License-Identifier: GPL-2.0-or-later
"""BTF: the compact type information that kernels since 5.2 carry in their section .BTF (include/uapi/linux/btf.h)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from mdf.core.errors import FormatError
from mdf.core.formats.elf import ByteOrder, prefix

MAGIC = 0xEB9F


class Kind(enum.IntEnum):
    """The kinds of types."""

    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# What follows the 12 bytes all types begin with: bytes once, and bytes for each of `vlen` elements.
TAIL = dict.fromkeys(Kind, (0, 0)) | {
    Kind.INT: (4, 0),
    Kind.ARRAY: (12, 0),
    Kind.STRUCT: (0, 12),
    Kind.UNION: (0, 12),
    Kind.ENUM: (0, 8),
    Kind.FUNC_PROTO: (0, 8),
    Kind.VAR: (4, 0),
    Kind.DATASEC: (0, 12),
    Kind.DECL_TAG: (4, 0),
    Kind.ENUM64: (0, 12),
}


@dataclass(frozen=True)
class Sections:
    """Where in the data the types are, [types, types_end), and the table of strings, [strings, strings_end)."""

    byteorder: ByteOrder
    types: int
    types_end: int
    strings: int
    strings_end: int

    @classmethod
    def of(cls, data: bytes) -> Sections:
        """Raises FormatError for data that does not begin with a header, or does not have what that names."""
        magics = {MAGIC.to_bytes(2, order): order for order in ("little", "big")}
        if len(data) < 24 or data[:2] not in magics:
            raise FormatError("BTF: no header with the magic number eb9f at byte 0")
        byteorder: ByteOrder = magics[data[:2]]  # type: ignore[assignment]
        order = prefix(byteorder)
        version, _, header, type_off, type_len, str_off, str_len = struct.unpack_from(f"{order}BB5I", data, 2)
        if version != 1:
            raise FormatError(f"BTF: version {version} at byte 2 is not known")
        if header < 24 or max(header + type_off + type_len, header + str_off + str_len) > len(data):
            raise FormatError(
                f"BTF: the header at byte 0 names types or strings beyond the {len(data)} bytes there are"
            )
        types, strings = header + type_off, header + str_off
        return cls(byteorder, types, types + type_len, strings, strings + str_len)
