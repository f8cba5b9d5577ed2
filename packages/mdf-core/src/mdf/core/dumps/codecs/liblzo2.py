# SPDX-License-Identifier: GPL-2.0-or-later
"""LZO1X-1 by the system's liblzo2, as the original uses it: 15 times as fast as code that is not its own.

Importing this raises ImportError on a machine that has no liblzo2. Facts: lzo/lzo1x.h and doc/LZO.TXT of liblzo2.
"""

from __future__ import annotations

from ctypes import CDLL, Structure, addressof, byref, c_char, c_char_p, c_size_t, c_void_p, create_string_buffer

from mdf.core.dumps.codecs.in_place import in_place
from mdf.core.dumps.codecs.packing import Packer

_TABLE = 16384 * 8  # LZO1X_1_MEM_COMPRESS: a table of pointers.
_OK = 0

try:
    _library = CDLL("liblzo2.so.2")
    _compress, _decompress = _library.lzo1x_1_compress, _library.lzo1x_decompress_safe
except (OSError, AttributeError) as error:
    raise ImportError(f"liblzo2: {error}") from None
_compress.argtypes = (c_void_p, c_size_t, c_void_p, c_void_p, c_void_p)
_decompress.argtypes = (c_char_p, c_size_t, c_void_p, c_void_p, c_void_p)


class _State(Structure):
    """The length of what liblzo2 has written, and its table."""

    _fields_ = (("length", c_size_t), ("table", c_char * _TABLE))


def packer() -> Packer:
    """A packer of its own for each thread."""
    state = _State()
    length_at, table_at = addressof(state), addressof(state) + _State.table.offset

    def compress(source: int, size: int, target: int) -> int:
        # What does not shrink grows by a sixteenth and 67 bytes at the most.
        _compress(source, size, target, length_at, table_at)
        length: int = state.length
        return length

    return in_place(compress)


def decompress(data: bytes, size: int) -> bytes:
    """Up to `size` bytes out of `data`. Raises ValueError if it is damaged, or holds more."""
    out, length = create_string_buffer(size), c_size_t(size)
    status = _decompress(data, len(data), out, byref(length), None)
    if status != _OK:
        raise ValueError(f"liblzo2 gives up on it ({status})")
    return out.raw[: length.value]
