# SPDX-License-Identifier: GPL-2.0-or-later
"""The kind of each page of a column: the rules applied, and blocks spread over the pages they cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from mdf.capture.pages import Pages
from mdf.capture.rules import RULES, Kind, Spread

OrderOf = Callable[[int], int]


@dataclass(frozen=True)
class Classified:
    """One byte, a `Kind`, for each page; and the block that reaches beyond them: its kind and end (a pfn)."""

    kinds: bytearray
    beyond: tuple[Kind, int] | None


def classify(pages: Pages, level: int, eligible: int, warn: Callable[[str], None]) -> Classified:
    """The kinds of `pages` at a dump level; `eligible` is the mask of pages that are looked at.

    A block is taken at its first page and decides for all it covers; pages inside are not looked at.
    """
    open_ = eligible & ~pages.tail
    kinds = bytearray(pages.count)
    order_of = {
        Spread.COMPOUND: pages.compound_order,
        Spread.BUDDY: pages.buddy_order,
        Spread.MAX_ORDER: pages.max_order,
    }
    blocks: dict[int, tuple[Kind, OrderOf]] = {}
    singles = 0
    for rule in RULES:
        if not rule.applies(level):
            continue
        found = rule.test(pages) & open_
        if not found:
            continue
        open_ &= ~found
        heads = found & pages.head if rule.spread is Spread.COMPOUND else found
        # A mask times a kind: each byte is 0 or the kind.
        singles |= (found ^ heads) * rule.kind
        if heads:
            blocks.update(dict.fromkeys(_indices(heads, pages.count), (rule.kind, order_of[rule.spread])))
    if singles:
        kinds[:] = singles.to_bytes(pages.count, "little")
    return Classified(kinds, _spread(pages, kinds, blocks, warn))


def _indices(mask: int, count: int) -> list[int]:
    column, indices = mask.to_bytes(count, "little"), []
    at = column.find(1)
    while at >= 0:
        indices.append(at)
        at = column.find(1, at + 1)
    return indices


def _spread(
    pages: Pages, kinds: bytearray, blocks: dict[int, tuple[Kind, OrderOf]], warn: Callable[[str], None]
) -> tuple[Kind, int] | None:
    """Fills the blocks in, in order of address; returns the one that reaches beyond the pages."""
    # Only a free block says an order that has to be checked here.
    limit = pages.layout.free_area_length or 8 * pages.layout.long_size
    count, covered = pages.count, 0
    for index in sorted(blocks):
        if index < covered:
            continue
        kind, order_of = blocks[index]
        order = order_of(index)
        if not order:
            kinds[index] = kind
        elif order >= limit and order_of == pages.buddy_order:
            warn(f"WARNING: Invalid free page order: pfn={pages.pfn + index:x}, order={order}, max order={limit - 1}")
        elif (covered := index + (1 << order)) <= count:
            kinds[index:covered] = _filled(kind, order)
        else:
            kinds[index:] = bytes([kind]) * (count - index)
            return kind, pages.pfn + covered
    return None


@cache
def _filled(kind: Kind, order: int) -> bytes:
    return bytes([kind]) * (1 << order)
