# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages go into which file of a split dump."""

from __future__ import annotations

from mdf.core.bitmap import Bitmap


def ranges(keep: Bitmap, files: int, block_pages: int) -> list[tuple[int, int]]:
    """The page frames [start, end) of each file: blocks until a file has its share of the pages of `keep`.

    The last file takes the rest. A block at the end that is not whole counts as empty.
    """
    share = keep.count() // files
    result = []
    start = 0
    for _ in range(files - 1):
        end, needed = start, share
        while needed > 0 and end < keep.size:
            if end + block_pages <= keep.size:
                needed -= keep.count(end, end + block_pages)
            end = min(end + block_pages, keep.size)
        result.append((start, end))
        start = end
    return [*result, (start, keep.size)]
