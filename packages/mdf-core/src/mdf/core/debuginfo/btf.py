# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a whole BTF for the types with wanted names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from mdf.core.debuginfo.btf_format import TAIL, Kind, Sections
from mdf.core.debuginfo.types import MAX_DEPTH, Member, Members, offsets_in
from mdf.core.debuginfo.wanted import Types, Wanted
from mdf.core.errors import FormatError
from mdf.core.formats.elf import prefix

_KIND_FLAG = 1 << 31
_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_ALIASES = (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)


def read_btf(data: bytes, wanted: Wanted) -> Types:
    """The wanted types. BTF does not know source files. Raises FormatError for damaged data."""
    return _Btf(data, wanted).types


class _Btf:
    def __init__(self, data: bytes, wanted: Wanted) -> None:
        sections = Sections.of(data)
        order = prefix(sections.byteorder)
        self._data = data
        self._end = sections.types_end
        self._three = struct.Struct(order + "3I")
        self._two = struct.Struct(order + "2I")
        self._strings = data[sections.strings : sections.strings_end]
        names = {offset: name for name in wanted.names for offset in offsets_in(self._strings, name)}
        self._constants = {offset: name for offset, name in names.items() if name in wanted.constants}
        self._positions = [0]  # By type id; 0 is void.
        self.types = Types()
        for kind, name, position in self._index(sections.types, names):
            self._take(kind, name, position, wanted)

    def _index(self, position: int, names: dict[int, str]) -> list[tuple[Kind, str, int]]:
        """Notes where each type is; returns the types with wanted names, and all enumerations."""
        found = []
        unpack, data, note = self._three.unpack_from, self._data, self._positions.append
        tails = {int(kind): tail for kind, tail in TAIL.items()}
        enums = {int(kind) for kind in (Kind.ENUM, Kind.ENUM64)} if self._constants else set()
        while position + 12 <= self._end:
            name, info, _ = unpack(data, position)
            kind = info >> 24 & 0x7F
            if kind not in tails:
                raise FormatError(f"BTF: type {len(self._positions)} at byte {position} is of the unknown kind {kind}")
            if name in names or kind in enums:
                found.append((Kind(kind), names.get(name, ""), position))
            note(position)
            once, each = tails[kind]
            position += 12 + once + each * (info & 0xFFFFFF)
        if position != self._end:
            raise FormatError(f"BTF: type {len(self._positions) - 1} reaches beyond the types' end at byte {self._end}")
        return found

    def _take(self, kind: Kind, name: str, position: int, wanted: Wanted) -> None:
        if kind in (Kind.ENUM, Kind.ENUM64):
            self._take_constants(kind, position)
        elif kind is Kind.VAR and name in wanted.arrays:
            self.types.arrays.setdefault(name, self._length(self._header(position)[2]))
        elif kind in (*_COMPOSITE, Kind.TYPEDEF) and name in wanted.structures and name not in self.types.structures:
            at = self._resolve(position)
            if self._kind(at) in _COMPOSITE:
                members = Members()
                self._flatten(at, 0, members, False, MAX_DEPTH)
                self.types.structures[name] = members.structure(self._header(at)[2])

    def _take_constants(self, kind: Kind, position: int) -> None:
        _, info, _ = self._header(position)
        for element in self._elements(position, TAIL[kind][1]):
            if element[0] in self._constants:
                value, bits = element[1], 32
                if kind is Kind.ENUM64:
                    value, bits = value | element[2] << 32, 64
                if info & _KIND_FLAG and value >> bits - 1:  # Signed.
                    value -= 1 << bits
                self.types.constants.setdefault(self._constants[element[0]], value)

    def _flatten(self, position: int, base: int, members: Members, inner: bool, depth: int) -> None:
        """Notes the members of a structure, and those of the structures within it."""
        if not depth:
            raise FormatError(f"BTF: the structure at byte {position} is nested too deeply")
        _, info, _ = self._header(position)
        for name, type_id, bits in self._elements(position, 12):
            offset = base + (bits & 0xFFFFFF if info & _KIND_FLAG else bits) // 8
            nested = self._resolve(self._position(type_id))
            members.note(self._string(name) if name else "", Member(offset, self._length(type_id)), inner=inner)
            if self._kind(nested) in _COMPOSITE:
                self._flatten(nested, offset, members, inner or bool(name), depth - 1)

    def _length(self, type_id: int) -> int | None:
        """The number of elements if the type is an array."""
        position = self._resolve(self._position(type_id))
        if self._kind(position) is not Kind.ARRAY:
            return None
        return int(self._three.unpack_from(self._data, position + 12)[2])

    def _resolve(self, position: int) -> int:
        """Where the type is that typedefs and qualifiers lead to."""
        for _ in range(MAX_DEPTH):
            if self._kind(position) not in _ALIASES:
                return position
            position = self._position(self._header(position)[2])
        raise FormatError(f"BTF: the typedefs at byte {position} lead in a circle")

    def _header(self, position: int) -> tuple[int, int, int]:
        return self._three.unpack_from(self._data, position) if position else (0, 0, 0)

    def _kind(self, position: int) -> int:
        """The kind of a type; 0 for void."""
        kind = self._header(position)[1] >> 24 & 0x7F
        return Kind(kind) if kind else 0

    def _elements(self, position: int, size: int) -> Iterator[tuple[int, ...]]:
        layout = self._three if size == 12 else self._two
        start, count = position + 12, self._header(position)[1] & 0xFFFFFF
        return islice(layout.iter_unpack(memoryview(self._data)[start : start + count * size]), count)

    def _position(self, type_id: int) -> int:
        if type_id >= len(self._positions):
            raise FormatError(f"BTF: there is no type {type_id}, the last one is {len(self._positions) - 1}")
        return self._positions[type_id]

    def _string(self, offset: int) -> str:
        end = self._strings.find(b"\x00", offset)
        if end < 0:
            raise FormatError(f"BTF: no string at byte {offset} of the strings")
        return self._strings[offset:end].decode("ascii", "replace")
