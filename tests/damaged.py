# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps with damage in them, one at a time, and what --check-dump says to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from captures import DumpFile
from mdf.capture.check import Verdict, check_dump
from mdf.core.errors import MdfError


@dataclass(frozen=True)
class Case:
    """A dump whose bytes can be changed for one check; `parsed` is a second reading of it."""

    path: Path
    parsed: DumpFile

    def changed(self, *changes: tuple[int, bytes]) -> Verdict | MdfError:
        """The verdict on the dump with bytes replaced; or what says that it can't be checked at all."""
        with self.path.open("r+b") as file:
            for at, data in changes:
                file.seek(at)
                file.write(data)
        try:
            return check_dump([self.path])
        except MdfError as error:
            return error
        finally:
            with self.path.open("r+b") as file:
                for at, data in changes:
                    file.seek(at)
                    file.write(self.parsed.data[at : at + len(data)])

    def flipped(self, at: int, bit: int) -> Verdict | MdfError:
        """The verdict with one bit flipped."""
        return self.changed((at, bytes([self.parsed.data[at] ^ 1 << bit])))


def found(verdict: Verdict | MdfError) -> bool:
    return isinstance(verdict, MdfError) or verdict.exit_status == 1


def regions(parsed: DumpFile) -> dict[str, range]:
    """The parts of a dump with header version 6, of 64 bits, as bytes of the file."""
    block = parsed.main["block_size"]
    bitmaps = (1 + parsed.main["sub_hdr_size"]) * block
    half = parsed.main["bitmap_blocks"] // 2 * block
    used = -(-parsed.sub["max_mapnr_64"] // 8)
    texts = block + 104
    return {
        "main header": range(464),
        "main header's padding": range(464, block),
        "sub header": range(block, texts),
        "notes": range(texts, texts + parsed.sub["size_note"]),
        "sub header's padding": range(texts + parsed.sub["size_note"], bitmaps),
        "bitmap 1": range(bitmaps, bitmaps + used),
        "bitmap 1's padding": range(bitmaps + used, bitmaps + half),
        "bitmap 2": range(bitmaps + half, bitmaps + half + used),
        "bitmap 2's padding": range(bitmaps + half + used, bitmaps + 2 * half),
        "descriptors": range(bitmaps + 2 * half, parsed.data_offset),
        "pages": range(parsed.data_offset, len(parsed.data)),
    }
