# SPDX-License-Identifier: GPL-2.0-or-later
"""Page codecs: how the pages of a kdump-compressed dump are packed and unpacked, one codec for each flag."""

from __future__ import annotations

from mdf.core.dumps.codecs.decoder import PageDecoder
from mdf.core.dumps.codecs.packing import Packer
from mdf.core.dumps.codecs.table import CODECS, DEFLATE_VARIABLE, DEFLATES, LIBLZO2, Codec, codec_named

__all__ = [
    "CODECS",
    "DEFLATES",
    "DEFLATE_VARIABLE",
    "LIBLZO2",
    "Codec",
    "Packer",
    "PageDecoder",
    "codec_named",
]
