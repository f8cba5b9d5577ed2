# SPDX-License-Identifier: GPL-2.0-or-later
"""Stored pages, unpacked as their flags say."""

from __future__ import annotations

from mdf.core.dumps.codecs.table import CODECS, Decompress
from mdf.core.errors import FormatError
from mdf.core.formats.diskdump import Flag


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
        codec = next((codec for codec in CODECS if codec.flag == compression), None)
        if codec is None:
            raise FormatError(f"Page {pfn:#x} is compressed in an unknown way (flags {compression:#x}).")
        return self._loaded.setdefault(compression, codec.decompressor())
