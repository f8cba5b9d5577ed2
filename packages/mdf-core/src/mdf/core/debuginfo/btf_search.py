# SPDX-License-Identifier: GPL-2.0-or-later
"""Single types of a kernel's BTF, found by their names without reading all of it, which takes ten times as long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct

from mdf.core.debuginfo.btf import TAIL, Kind, Sections
from mdf.core.debuginfo.types import MAX_DEPTH, MAX_MEMBERS, offsets_in
from mdf.core.errors import FormatError
from mdf.core.formats.elf import prefix

_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_ENUMERATIONS = (Kind.ENUM, Kind.ENUM64)


@dataclass(frozen=True)
class Shape:
    """A structure: its size, and the offsets of its own members and of those of anonymous ones in it, in bytes."""

    size: int
    offsets: Mapping[str, int]


class BtfSearch:
    """The types in the section `data`. Raises FormatError for damaged data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._sections = sections = Sections.of(data)
        order = prefix(sections.byteorder)
        self._one, self._two, self._three = Struct(order + "I"), Struct(order + "2I"), Struct(order + "3I")
        # Of the first types, as many as were asked for; 0 is void.
        self._positions = [0]
        self._following = sections.types

    def structure(self, name: str) -> Shape | None:
        """The structure of this name; None if there is none."""
        for position in self._named(name, _COMPOSITE):
            offsets: dict[str, int] = {}
            for member, offset in self._members(position, 0, MAX_DEPTH):
                offsets.setdefault(member, offset)
                if len(offsets) > MAX_MEMBERS:
                    raise FormatError(f"BTF: the structure at byte {position} has more than {MAX_MEMBERS} members")
            return Shape(self._header(position)[2], offsets)
        return None

    def constants(self, name: str) -> Mapping[str, int]:
        """The enumerators of the enumeration of this name that are not negative; none if there is none."""
        for position in self._named(name, _ENUMERATIONS):
            return {self._string(at): value for at, value in self._elements(position, 2)}
        return {}

    def _named(self, name: str, kinds: tuple[Kind, ...]) -> Iterator[int]:
        """Where types of this name and these kinds are. Only they have their kind in the word behind a name's."""
        end = self._sections.types_end
        for offset in offsets_in(self._sections.strings, name):
            # A pattern is found in half the time of bytes.
            word, at = re.compile(re.escape(self._one.pack(offset))), self._sections.types
            while match := word.search(self._data, at, end):
                at = match.start()
                if (at - self._sections.types) % 4 == 0 and at + 12 <= end and offset and self._kind(at) in kinds:
                    yield at
                at += 1

    def _members(self, position: int, base: int, depth: int) -> Iterator[tuple[str, int]]:
        if not depth:
            raise FormatError(f"BTF: the structure at byte {position} is nested too deeply")
        bitfields = self._header(position)[1] >> 31
        for name, type_id, bits in self._elements(position, 3):
            offset = base + (bits & 0xFFFFFF if bitfields else bits) // 8
            if name:
                yield self._string(name), offset
            elif self._kind(anonymous := self._position(type_id)) in _COMPOSITE:
                yield from self._members(anonymous, offset, depth - 1)

    def _elements(self, position: int, words: int) -> Iterator[tuple[int, ...]]:
        """So many first words of each element of a type."""
        size = TAIL[Kind(self._kind(position))][1]
        start, count = position + 12, self._header(position)[1] & 0xFFFFFF
        if start + count * size > self._sections.types_end:
            raise FormatError(f"BTF: the type at byte {position} reaches beyond the types' end")
        layout = self._two if words == 2 else self._three
        return (layout.unpack_from(self._data, at) for at in range(start, start + count * size, size))

    def _position(self, type_id: int) -> int:
        """Where a type is: types have no fixed size, so those before it are gone through. Most are asked early."""
        note, unpack, end = self._positions.append, self._two.unpack_from, self._sections.types_end
        while len(self._positions) <= type_id:
            if self._following + 12 > end:
                raise FormatError(f"BTF: there is no type {type_id}, the last one is {len(self._positions) - 1}")
            note(self._following)
            info = unpack(self._data, self._following)[1]
            once, each = TAIL.get(info >> 24 & 0x7F, (0, 0))
            self._following += 12 + once + each * (info & 0xFFFFFF)
        return self._positions[type_id]

    def _header(self, position: int) -> tuple[int, int, int]:
        return self._three.unpack_from(self._data, position) if position else (0, 0, 0)

    def _kind(self, position: int) -> int:
        return self._header(position)[1] >> 24 & 0x7F

    def _string(self, offset: int) -> str:
        end = self._sections.strings.find(b"\x00", offset)
        if end < 0:
            raise FormatError(f"BTF: no string at byte {offset} of the strings")
        return self._sections.strings[offset:end].decode("ascii", "replace")
