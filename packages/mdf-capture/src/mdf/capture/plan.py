# SPDX-License-Identifier: GPL-2.0-or-later
"""How the bitmaps of a run are kept, which a dump's details depend on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mdf.core.bitmap import IN_MEMORY_MAX, Place


@dataclass(frozen=True)
class BitmapPlan:
    """Two ways that the original knows, and that show in its output.

    `one_pass`: bitmaps are written in whole blocks, and the last page of a segment that covers it in part is in the
    dump. Otherwise (the original's "cyclic" mode) bitmaps are written without padding and such a page is not in the
    dump; --work-dir chooses the first way.
    """

    one_pass: bool
    place: Place

    @classmethod
    def choose(
        cls, max_mapnr: int, *, work_dir: Path | None, refiltering: bool, cyclic_buffer: int | None, files: int = 1
    ) -> BitmapPlan:
        """`cyclic_buffer` is in KiB. The original's buffer is at most 4 MiB; its divisions drop remainders.

        It has a buffer for each of the `files` that a dump is split into.
        """
        buffer = min(IN_MEMORY_MAX, max_mapnr * 2 // 8 // files)
        fits = cyclic_buffer is None and buffer * 8 >= max_mapnr * 2
        place = Place.in_work_dir(work_dir)
        return cls(bool(work_dir) or refiltering or fits, place)
