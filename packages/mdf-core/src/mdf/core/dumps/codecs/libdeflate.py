# SPDX-License-Identifier: GPL-2.0-or-later
"""zlib's format by libdeflate: as the package `deflate` carries it, or else the system has it.

Its functions are called with addresses, and one compressor serves for all pages: that saves a fifth of what the calls
of the package cost. Importing this raises ImportError where there is no libdeflate. Facts: libdeflate.h.
"""

from __future__ import annotations

from ctypes import CDLL, byref, c_char, c_char_p, c_int, c_size_t, c_uint32, c_void_p
from importlib import import_module
from weakref import finalize

from mdf.core.dumps.codecs.in_place import in_place
from mdf.core.dumps.codecs.packing import Packer
from mdf.core.dumps.codecs.same_filled import deflated

_LEVEL = 1
_OK = 0


def _libraries() -> list[str]:
    system = "libdeflate.so.0"
    try:
        return [str(import_module("deflate._deflate").__file__), system]
    except ImportError:
        return [system]


def _load() -> CDLL:
    why = ""
    for name in _libraries():
        try:
            library = CDLL(name)
            library.libdeflate_alloc_compressor.argtypes = (c_int,)
            library.libdeflate_alloc_compressor.restype = c_void_p
            library.libdeflate_zlib_compress.argtypes = (c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)
            library.libdeflate_zlib_compress.restype = c_size_t
            library.libdeflate_free_compressor.argtypes = (c_void_p,)
            library.libdeflate_free_compressor.restype = None
            library.libdeflate_adler32.argtypes = (c_uint32, c_void_p, c_size_t)
            library.libdeflate_adler32.restype = c_uint32
            library.libdeflate_alloc_decompressor.restype = c_void_p
            library.libdeflate_zlib_decompress.argtypes = (c_void_p, c_char_p, c_size_t, c_void_p, c_size_t, c_void_p)
            library.libdeflate_free_decompressor.argtypes = (c_void_p,)
            library.libdeflate_free_decompressor.restype = None
        except (OSError, AttributeError) as error:
            why = str(error)
        else:
            return library
    raise ImportError(f"libdeflate: {why}")


_library = _load()


class _Compressor:
    """A compressor of the library's, which goes when this does."""

    def __init__(self) -> None:
        self._at = _library.libdeflate_alloc_compressor(_LEVEL)
        if not self._at:
            raise MemoryError("libdeflate: there is no memory for a compressor")
        finalize(self, _library.libdeflate_free_compressor, self._at)
        self._compress = _library.libdeflate_zlib_compress

    def __call__(self, source: int, size: int, target: int) -> int:
        length: int = self._compress(self._at, source, size, target, size - 1)
        return length


def packer() -> Packer:
    """A packer of its own for each thread."""
    return in_place(_Compressor(), _same_filled)


def _same_filled(word: bytes, source: int, size: int) -> bytes:
    return deflated(word, size, _library.libdeflate_adler32(1, source, size))


def decompress(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes out of `data`. Raises ValueError if it is damaged, or holds more or less."""
    page = bytearray(size)
    decompressor = _library.libdeflate_alloc_decompressor()
    if not decompressor:
        raise MemoryError("libdeflate: there is no memory for a decompressor")
    try:
        out = (c_char * size).from_buffer(page)
        status = _library.libdeflate_zlib_decompress(decompressor, data, len(data), byref(out), size, None)
    finally:
        _library.libdeflate_free_decompressor(decompressor)
    if status != _OK:
        raise ValueError(f"libdeflate gives up on it ({status})")
    return bytes(page)
