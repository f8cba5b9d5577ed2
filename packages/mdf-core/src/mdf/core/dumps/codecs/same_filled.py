# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages that are one word over and over, as poisoned or cleared memory is, in zlib's format without a compressor.

The word is stored, and what follows is the same for all words: copies of what is 8 bytes before, until the page is
full. Facts: RFC 1950, and RFC 1951, section 3.2.
"""

from __future__ import annotations

from functools import lru_cache

WORD = 8  # bytes

_BEGIN = bytes((0x78, 0x01, 0, WORD, 0, 0xFF ^ WORD, 0xFF))  # zlib's header, and that of a stored block of one word.
_LONGEST, _SHORTER = 258, range(227, 258)  # How many bytes symbol 285 copies, and symbol 284.

# Bits are in the order of the stream: a number begins with its lowest, a code with its highest.
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
_ONE, _TWO, _FEW_ZEROS, _MANY_ZEROS = "00", "01", "10", "11"  # Codes of the lengths 1, 2, 17, 18 of codes.
_END, _COPY_LONGEST, _COPY_SHORTER, _FROM_8_BEFORE = "10", "0", "11", "0" + "1"


def deflated(word: bytes, size: int, checksum: int) -> bytes:
    """A page of `size` bytes, a power of two from 1024 on, that is a word over and over. `checksum` is its Adler-32."""
    return b"".join((_BEGIN, word, _copies(size - WORD), checksum.to_bytes(4, "big")))


@lru_cache(maxsize=1)
def _copies(size: int) -> bytes:
    """The last block: copies that are as long as can be, but for some, which make it `size` bytes in all."""
    copies = -(-size // _LONGEST)
    missing = _LONGEST * copies - size
    shorter = -(-missing // len(_SHORTER))
    bits = _codes() + (_COPY_LONGEST + _FROM_8_BEFORE) * (copies - shorter)
    for number in range(shorter):
        length = _LONGEST - (missing + number) // shorter
        bits += _COPY_SHORTER + _number(length - _SHORTER.start, 5) + _FROM_8_BEFORE
    bits += _END
    return int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")


def _codes() -> str:
    """The head of a last block that has codes for the symbols 256 (the end), 284 and 285, and for the distance 5."""
    counts = _number(286 - 257, 5) + _number(6 - 1, 5) + _number(len(_ORDER) - 4, 4)
    lengths = "".join(_number(2 if symbol in (1, 2, 17, 18) else 0, 3) for symbol in _ORDER)
    zeros = {count: _MANY_ZEROS + _number(count - 11, 7) for count in (138, 256 - 138, 284 - 257)}
    symbols = zeros[138] + zeros[256 - 138] + _TWO + zeros[284 - 257] + _TWO + _ONE
    distances = _FEW_ZEROS + _number(5 - 3, 3) + _ONE
    return _number(1, 1) + _number(2, 2) + counts + lengths + symbols + distances


def _number(value: int, bits: int) -> str:
    return f"{value:0{bits}b}"[::-1]
