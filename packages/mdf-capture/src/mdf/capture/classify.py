# SPDX-License-Identifier: GPL-2.0-or-later
"""The kind of each page of a column: the rules applied, and blocks spread over the pages they cover."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from mdf.capture.pages import Pages
from mdf.capture.rules import RULES, Kind, Rule, Spread

# The kind of a block, its order, and the first order that can't be.
Block = tuple[Kind, int, int]
_ANY_ORDER = 1 << 64
_SET = re.compile(b"\x01")


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
    blocks: dict[int, Block] = {}
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
            blocks.update(_blocks(pages, _indices(heads, pages.count), rule))
    if singles:
        kinds[:] = singles.to_bytes(pages.count, "little")
    return Classified(kinds, _spread(pages, kinds, blocks, warn))


def _indices(mask: int, count: int) -> list[int]:
    return [match.start() for match in _SET.finditer(mask.to_bytes(count, "little"))]


def _blocks(pages: Pages, indices: list[int], rule: Rule) -> dict[int, Block]:
    # Only a free block says an order that has to be checked here.
    kind, limit = rule.kind, _ANY_ORDER
    if rule.spread is Spread.BUDDY:
        orders = pages.buddy_orders(indices)
        limit = pages.layout.free_area_length or 8 * pages.layout.long_size
    elif rule.spread is Spread.MAX_ORDER:
        orders = [pages.max_order] * len(indices)
    else:
        orders = list(map(pages.compound_order, indices))
    return {index: (kind, order, limit) for index, order in zip(indices, orders, strict=True)}


def _spread(
    pages: Pages, kinds: bytearray, blocks: dict[int, Block], warn: Callable[[str], None]
) -> tuple[Kind, int] | None:
    """Fills the blocks in, in order of address; returns the one that reaches beyond the pages."""
    count, covered = pages.count, 0
    for index, (kind, order, limit) in sorted(blocks.items()):
        if index < covered:
            continue
        if not order:
            kinds[index] = kind
        elif order >= limit:
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
