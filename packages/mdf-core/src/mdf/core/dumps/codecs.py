# SPDX-License-Identifier: GPL-2.0-or-later
"""Page codecs: how the pages of a kdump-compressed dump are packed, one codec for each flag.

All but the standard library's zlib come from packages, or libraries of the system, that need not be there; a codec for
which none is there raises MissingCodecError when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from mdf.core.errors import FormatError, MissingCodecError, UsageError
from mdf.core.formats.diskdump import Flag

Buffer = bytes | bytearray | memoryview
Compress = Callable[[Buffer], bytes]
Decompress = Callable[[bytes, int], bytes]

DEFLATE_VARIABLE = "MDF_DEFLATE"
LIBLZO2 = "mdf.core.dumps.liblzo2"


@dataclass(frozen=True)
class Codec:
    """A way to pack pages. `modules` are tried in order; `package` is what to install when none is there.

    `compress` makes a function for one thread of the module; `decompress` gives the page of packed bytes and the
    size of a page.
    """

    name: str
    flag: Flag
    modules: tuple[str, ...]
    package: str
    compress: Callable[[ModuleType], Compress]
    decompress: Callable[[ModuleType], Decompress]

    def compressor(self) -> Compress:
        """A function that packs a page, for use by one thread. Raises MissingCodecError."""
        return self.compress(self._module(self._preferred()))

    def decompressor(self) -> Decompress:
        """A function of packed bytes and the page size. Raises MissingCodecError."""
        return self.decompress(self._module(self.modules))

    def _preferred(self) -> tuple[str, ...]:
        wanted = os.environ.get(DEFLATE_VARIABLE) if self.flag is Flag.ZLIB else None
        if not wanted:
            return self.modules
        if wanted not in DEFLATES:
            known = ", ".join(DEFLATES)
            raise UsageError(f"{DEFLATE_VARIABLE}={wanted} names no deflate; known are {known}.")
        return (DEFLATES[wanted],)

    def _module(self, names: tuple[str, ...]) -> ModuleType:
        for name in names:
            try:
                return import_module(name)
            except ImportError:
                continue
        raise MissingCodecError(
            f"The codec for {self.name} pages is not installed.", hint=f"Install it with: pip install {self.package}"
        )


# What `-c` may use, the fastest first.
DEFLATES = {"libdeflate": "deflate", "zlib-ng": "zlib_ng.zlib_ng", "zlib": "zlib"}
# The fastest levels whose output is at most 2 % larger than that of zlib's level 1.
_DEFLATE_LEVELS = {"deflate": 2, "zlib_ng.zlib_ng": 3, "zlib": 1}


def _deflate(module: ModuleType) -> Compress:
    level = _DEFLATE_LEVELS[module.__name__]
    compress = module.zlib_compress if module.__name__ == "deflate" else module.compress
    return lambda page: compress(page, level)


def _inflate(module: ModuleType) -> Decompress:
    if module.__name__ == "deflate":
        return lambda data, size: bytes(module.zlib_decompress(data, size))
    return lambda data, size: _bounded(module.decompressobj(), data, size)


def _bounded(decompressor: Any, data: bytes, size: int) -> bytes:
    """A few damaged bytes must not become gigabytes."""
    page: bytes = decompressor.decompress(data, size + 1)
    if not decompressor.eof:
        raise ValueError(f"it does not end with {size} bytes")
    return page


def _lzo(module: ModuleType) -> Compress:
    compress: Compress = module.Compressor() if module.__name__ == LIBLZO2 else module.LZOCompressor().compress
    return compress


def _unlzo(module: ModuleType) -> Decompress:
    unpack = module.decompress if module.__name__ == LIBLZO2 else module.LZOCompressor.decompress
    return lambda data, size: bytes(unpack(data, size))


def _unsnap(module: ModuleType) -> Decompress:
    def decompress(data: bytes, size: int) -> bytes:
        page = bytearray(size)
        return bytes(page[: module.snappy.decompress_raw_into(data, page)])

    return decompress


def _zstd(module: ModuleType) -> Compress:
    # A compressor of zstd's must not be shared between threads.
    compressor: Any = module.ZstdCompressor(level=1)
    return lambda page: compressor.compress(page, compressor.FLUSH_FRAME)


CODECS = (
    Codec(
        "zlib",
        Flag.ZLIB,
        tuple(DEFLATES.values()),
        "mdf-capture",
        _deflate,
        _inflate,
    ),
    Codec(
        "LZO",
        Flag.LZO,
        (LIBLZO2, "lzallright"),
        "lzallright",
        _lzo,
        _unlzo,
    ),
    Codec(
        "snappy",
        Flag.SNAPPY,
        ("cramjam",),
        "cramjam",
        lambda module: lambda page: bytes(module.snappy.compress_raw(page)),
        _unsnap,
    ),
    Codec(
        "zstd",
        Flag.ZSTD,
        ("compression.zstd", "backports.zstd"),
        "backports.zstd",
        _zstd,
        lambda module: lambda data, size: _bounded(module.ZstdDecompressor(), data, size),
    ),
)

BY_FLAG: Mapping[Flag, Codec] = {codec.flag: codec for codec in CODECS}


def codec_named(name: str) -> Codec:
    """The codec with this name, in any case."""
    return next(codec for codec in CODECS if codec.name.lower() == name.lower())


class PageDecoder:
    """Turns stored pages into pages of `page_size` bytes; codecs are loaded when a page needs them."""

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self._loaded: dict[int, Decompress] = {}

    def decode(self, data: bytes, flags: int, pfn: int) -> bytes:
        """The page of `pfn`. Raises FormatError for data that is none, MissingCodecError."""
        compression = flags & ~int(Flag.INCOMPLETE | Flag.EXCLUDED_VMEMMAP)
        if not compression:
            page = data
        else:
            decompress = self._loaded.get(compression) or self._load(compression, pfn)
            try:
                page = decompress(data, self.page_size)
            except Exception as error:  # Each codec has errors of its own, all mean damaged data.
                raise FormatError(f"The data of page {pfn:#x} is damaged: {error}") from error
        if len(page) != self.page_size:
            raise FormatError(f"Page {pfn:#x} holds {len(page)} bytes instead of {self.page_size}.")
        return page

    def _load(self, compression: int, pfn: int) -> Decompress:
        codec = next((codec for flag, codec in BY_FLAG.items() if flag == compression), None)
        if codec is None:
            raise FormatError(f"Page {pfn:#x} is compressed in an unknown way (flags {compression:#x}).")
        return self._loaded.setdefault(compression, codec.decompressor())
