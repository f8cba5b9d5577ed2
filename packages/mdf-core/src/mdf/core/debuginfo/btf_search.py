# SPDX-License-Identifier: GPL-2.0-or-later
"""Single types of a kernel's BTF, found by their names without reading all of it, which takes ten times as long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from struct import Struct

from mdf.core.debuginfo.btf_format import TAIL, Kind, Sections
from mdf.core.debuginfo.types import MAX_DEPTH, MAX_MEMBERS, Member, Members, Structure, offsets_in
from mdf.core.errors import FormatError
from mdf.core.formats.elf import prefix

_COMPOSITE = (Kind.STRUCT, Kind.UNION)
_ENUMERATIONS = (Kind.ENUM, Kind.ENUM64)
# More than there are in a kernel: uses of a name, and names that end like another.
_LOOKED_AT_MAX, _TAILS_MAX = 1 << 14, 16


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

    def structure(self, name: str) -> Structure | None:
        """The structure of this name, with its own members and those of anonymous ones in it; None if there is none."""
        for position in self._named(name, _COMPOSITE):
            members = Members()
            self._note(position, 0, members, MAX_DEPTH)
            return members.structure(self._header(position)[2])
        return None

    def constants(self, name: str) -> Mapping[str, int]:
        """The enumerators of the enumeration of this name that are not negative; none if there is none."""
        for position in self._named(name, _ENUMERATIONS):
            return {self._string(at): value for at, value in self._elements(position, 2)}
        return {}

    def _named(self, name: str, kinds: tuple[Kind, ...]) -> Iterator[int]:
        """Where types of this name and these kinds are. Only they have their kind in the word behind a name's."""
        end = self._sections.types_end
        for offset in self._offsets(name):
            # A pattern is found in half the time of bytes.
            word, at = re.compile(re.escape(self._one.pack(offset))), self._sections.types
            for _ in range(_LOOKED_AT_MAX):
                match = word.search(self._data, at, end)
                if match is None:
                    break
                at = match.start()
                if (at - self._sections.types) % 4 == 0 and at + 12 <= end and self._kind(at) in kinds:
                    yield at
                at += 1

    def _offsets(self, name: str) -> Iterator[int]:
        """Where the name is in the strings: first by itself, then as the tail of another."""
        start, end = self._sections.strings, self._sections.strings_end
        alone = self._data.find(f"\x00{name}\x00".encode(), start, end) + 1 - start
        if alone > 0:
            yield alone
        others = (offset for offset in offsets_in(self._data, name, start, end) if offset != alone)
        yield from islice(others, _TAILS_MAX)

    def _note(self, position: int, base: int, members: Members, depth: int) -> None:
        if not depth:
            raise FormatError(f"BTF: the structure at byte {position} is nested too deeply")
        bitfields = self._header(position)[1] >> 31
        for name, type_id, bits in self._elements(position, 3):
            offset = base + (bits & 0xFFFFFF if bitfields else bits) // 8
            members.note(self._string(name) if name else "", Member(offset), inner=False)
            if not name and self._kind(anonymous := self._position(type_id)) in _COMPOSITE:
                self._note(anonymous, offset, members, depth - 1)

    def _elements(self, position: int, words: int) -> Iterator[tuple[int, ...]]:
        """So many first words of each element of a type."""
        size = TAIL[Kind(self._kind(position))][1]
        start, count = position + 12, self._header(position)[1] & 0xFFFFFF
        if count > MAX_MEMBERS or start + count * size > self._sections.types_end:
            raise FormatError(
                f"BTF: the type at byte {position} has {count} elements, or reaches beyond the types' end"
            )
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
        start = self._sections.strings + offset
        end = self._data.find(b"\x00", start, self._sections.strings_end)
        if end < 0:
            raise FormatError(f"BTF: no string at byte {offset} of the strings")
        return self._data[start:end].decode("ascii", "replace")
