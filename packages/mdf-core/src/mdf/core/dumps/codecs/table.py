# SPDX-License-Identifier: GPL-2.0-or-later
"""The codecs, and where each comes from.

All but the standard library's zlib come from packages, or libraries of the system, that need not be there; a codec for
which none is there raises MissingCodecError when it is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from mdf.core.dumps.codecs.packing import Packer, page_by_page
from mdf.core.errors import MissingCodecError, UsageError
from mdf.core.formats.diskdump import Flag

Decompress = Callable[[bytes, int], bytes]

DEFLATE_VARIABLE = "MDF_DEFLATE"
LIBDEFLATE, LIBLZO2 = "mdf.core.dumps.codecs.libdeflate", "mdf.core.dumps.codecs.liblzo2"
_LIBRARIES = (LIBDEFLATE, LIBLZO2)


@dataclass(frozen=True)
class Codec:
    """A way to pack pages. `modules` are tried in order; `package` is what to install when none is there.

    `pack` makes a packer of a module, `decompress` what gives the page of packed bytes and the size of a page. The
    modules that call C libraries from here have both themselves.
    """

    name: str
    flag: Flag
    modules: tuple[str, ...]
    package: str
    pack: Callable[[ModuleType], Packer]
    decompress: Callable[[ModuleType], Decompress]

    def packer(self) -> Packer:
        """What packs pages, for use by one thread. Raises MissingCodecError."""
        module = self._module(self._preferred())
        packer: Packer = module.packer() if module.__name__ in _LIBRARIES else self.pack(module)
        return packer

    def decompressor(self) -> Decompress:
        """A function of packed bytes and the page size. Raises MissingCodecError."""
        module = self._module(self.modules)
        decompress: Decompress = module.decompress if module.__name__ in _LIBRARIES else self.decompress(module)
        return decompress

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
DEFLATES = {"libdeflate": LIBDEFLATE, "zlib-ng": "zlib_ng.zlib_ng", "zlib": "zlib"}
# The fastest levels whose output is at most 2 % larger than that of zlib's level 1, on real kernels' pages.
_DEFLATE_LEVELS = {"zlib_ng.zlib_ng": 3, "zlib": 1}
# Of a page, the window is a page; damaged data may ask for gigabytes.
_WINDOW_LOG_MAX = 23


def _deflate(module: ModuleType) -> Packer:
    level = _DEFLATE_LEVELS[module.__name__]
    return page_by_page(lambda page: module.compress(page, level))


def _bounded(decompressor: Any, data: bytes, size: int) -> bytes:
    """A few damaged bytes must not become gigabytes."""
    page: bytes = decompressor.decompress(data, size + 1)
    if not decompressor.eof:
        raise ValueError(f"it does not end with {size} bytes")
    return page


def _unsnap(module: ModuleType) -> Decompress:
    def decompress(data: bytes, size: int) -> bytes:
        page = bytearray(size)
        return bytes(page[: module.snappy.decompress_raw_into(data, page)])

    return decompress


def _zstd(module: ModuleType) -> Packer:
    # A compressor of zstd's must not be shared between threads.
    compressor: Any = module.ZstdCompressor(level=1)
    return page_by_page(lambda page: compressor.compress(page, compressor.FLUSH_FRAME))


def _unzstd(module: ModuleType) -> Decompress:
    options = {module.DecompressionParameter.window_log_max: _WINDOW_LOG_MAX}
    return lambda data, size: _bounded(module.ZstdDecompressor(options=options), data, size)


CODECS = (
    Codec(
        "zlib",
        Flag.ZLIB,
        tuple(DEFLATES.values()),
        "mdf-capture",
        _deflate,
        lambda module: lambda data, size: _bounded(module.decompressobj(), data, size),
    ),
    Codec(
        "LZO",
        Flag.LZO,
        (LIBLZO2, "lzallright"),
        "lzallright",
        lambda module: page_by_page(module.LZOCompressor().compress),
        lambda module: lambda data, size: bytes(module.LZOCompressor.decompress(data, size)),
    ),
    Codec(
        "snappy",
        Flag.SNAPPY,
        ("cramjam",),
        "cramjam",
        lambda module: page_by_page(lambda page: bytes(module.snappy.compress_raw(page))),
        _unsnap,
    ),
    Codec(
        "zstd",
        Flag.ZSTD,
        ("compression.zstd", "backports.zstd"),
        "backports.zstd",
        _zstd,
        _unzstd,
    ),
)


def codec_named(name: str) -> Codec:
    """The codec with this name, in any case."""
    return next(codec for codec in CODECS if codec.name.lower() == name.lower())
