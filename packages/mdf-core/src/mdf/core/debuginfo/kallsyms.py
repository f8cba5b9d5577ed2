# SPDX-License-Identifier: GPL-2.0-or-later
"""kallsyms: the table of its own symbols that a kernel carries, names compressed (scripts/kallsyms.c).

A name is a length (a byte; since 6.1 two bytes above 127, low bits first) and so many codes. Each code stands for a
piece of text; what they give together is the symbol's type, a letter, and its name. A code was made of the two codes
that stood most often side by side, the highest code first, and replaced them everywhere: so a name has one encoding,
which can be searched for without decoding the others.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct, unpack_from

from mdf.core.errors import FormatError
from mdf.core.formats.elf import ByteOrder, prefix

CODES = 256
# The letters of symbols that are data or mark a place; upper case is global.
_TYPES = [bytes([letter]) for letter in b"DdBbRrTtAaVvWwSsGg"]
# KSYM_NAME_LEN, which a token is shorter than.
_NAME_MAX = 512
# A marker for so many names.
_STRIDE = 256
# A first byte from here on has a second one.
_LONG = 0x80
# Names that end like the wanted one are looked at up to this number: a table of nothing else is no kernel's.
_LOOKED_AT_MAX = 1 << 12


def token_texts(table: bytes, index: bytes, byteorder: ByteOrder) -> list[bytes]:
    """The text of each code: `index` has the offset in `table` of each (CODES words of 2 bytes), which a 0 byte ends.

    Raises FormatError for text that does not end.
    """
    texts = []
    for offset in unpack_from(f"{prefix(byteorder)}{CODES}H", index):
        end = table.find(b"\x00", offset, offset + _NAME_MAX)
        if end < 0:
            raise FormatError(f"kallsyms: the token at byte {offset} of the tokens has no end")
        texts.append(table[offset:end])
    return texts


class Encoding:
    """How a table encodes names; `texts` has the text of each code."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._steps: list[tuple[bytes, bytes]] = []
        self._texts: list[bytes] = []  # Of the code that each step makes.
        for code in reversed(range(len(texts))):
            if len(texts[code]) > 1:
                pair = self.encode(texts[code])
                if len(pair) == 2:
                    self._steps.append((pair, bytes([code])))
                    self._texts.append(texts[code])

    def encode(self, text: bytes) -> bytes:
        """The codes of a text; a letter that was not merged is its own code."""
        return _merged(text, self._steps)

    def symbols(self, name: str) -> list[bytes]:
        """The codes of the symbols that have this name, one for each type."""
        wanted, steps = name.encode(), []
        for step, text in zip(self._steps, self._texts, strict=True):
            if text in wanted or wanted.startswith(text[1:]):  # Else it stands nowhere in a type and this name.
                steps.append(step)
        return [_merged(letter + wanted, steps) for letter in _TYPES]


def _merged(text: bytes, steps: Iterable[tuple[bytes, bytes]]) -> bytes:
    for pair, code in steps:
        text = text.replace(pair, code)
    return text


class Names:
    """The `count` names that `data` begins with. Behind them are the markers, words of 4 bytes: the place of each
    256th name.
    """

    def __init__(self, data: bytes, count: int, encoding: Encoding, byteorder: ByteOrder) -> None:
        self._data = data
        self._count = count
        self._encoding = encoding
        self._markers = self._find_markers(byteorder)

    def number(self, name: str) -> int | None:
        """The number of the symbol with this name, counted from 0; None if there is none.

        Raises FormatError for a table that is none.
        """
        entries = [_length(len(codes)) + codes for codes in self._encoding.symbols(name)]
        try:
            # Encodings differ in their first codes: one search is for all letters.
            return self._search(_common_tail(entries), entries)
        except FormatError:  # What they share is too common.
            found = (self._search(entry, [entry]) for entry in entries)
            return next((number for number in found if number is not None), None)

    def _search(self, searched: bytes, entries: Sequence[bytes]) -> int | None:
        """The number of the first name whose entry is one of those that end in `searched`."""
        for end in self._ends(searched):
            for start in (end - len(entry) for entry in entries if self._data.endswith(entry, 0, end)):
                if (number := self._number_at(start)) is not None:
                    return number
        return None

    def _ends(self, searched: bytes) -> Iterator[int]:
        """Where `searched` ends, in the second half of the names first: symbols are in order of their addresses, and
        variables lie behind the text. Raises FormatError for too many such places.
        """
        pattern, seen = re.compile(re.escape(searched)), 0  # Found in half the time of bytes.
        middle = self._markers[len(self._markers) // 2]
        for at, end in ((middle, len(self._data)), (0, middle + len(searched) - 1)):
            while match := pattern.search(self._data, at, end):
                seen += 1
                if seen > _LOOKED_AT_MAX:
                    raise FormatError(
                        f"kallsyms: more than {_LOOKED_AT_MAX} names end in the same {len(searched)} bytes"
                    )
                yield match.end()
                at = match.start() + 1

    def _number_at(self, position: int) -> int | None:
        """The number of the name that begins at a position; None if none does."""
        block = max(bisect_right(self._markers, position) - 1, 0)
        place = self._markers[block]
        for number in range(block * _STRIDE, min((block + 1) * _STRIDE, self._count)):
            if place >= position:
                return number if place == position else None
            place = self._next(place)
        return None

    def _next(self, place: int) -> int:
        """Where the name behind the one at `place` begins."""
        length = self._data[place]
        if length < _LONG:
            return place + 1 + length
        return place + 2 + (length & _LONG - 1 | self._data[place + 1] << 7)

    def _find_markers(self, byteorder: ByteOrder) -> Sequence[int]:
        first = self._block_end(0, self._count)
        # They begin with the two that are known now.
        at = self._data.rfind(Struct(f"{prefix(byteorder)}2I").pack(0, first))
        markers = -(-self._count // _STRIDE)
        if at >= 0 and at + 4 * markers <= len(self._data):
            return unpack_from(f"{prefix(byteorder)}{markers}I", self._data, at)
        places = [0]
        for number in range(_STRIDE, self._count, _STRIDE):
            places.append(self._block_end(places[-1], self._count - number + _STRIDE))
        return places

    def _block_end(self, place: int, count: int) -> int:
        """Where the names end that begin at `place`: _STRIDE of them, or `count` if that is less."""
        try:
            for _ in range(min(_STRIDE, count)):
                place = self._next(place)
        except IndexError:
            raise FormatError(f"kallsyms: {self._count} names do not fit into {len(self._data)} bytes") from None
        return place


def _length(length: int) -> bytes:
    return bytes([length]) if length < _LONG else bytes([length & _LONG - 1 | _LONG, length >> 7])


def _common_tail(texts: Sequence[bytes]) -> bytes:
    first = texts[0]
    size = next((size for size in range(len(first), 0, -1) if all(text.endswith(first[-size:]) for text in texts)), 0)
    return first[len(first) - size :]
