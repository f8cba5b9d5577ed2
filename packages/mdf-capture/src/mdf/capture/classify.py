# SPDX-License-Identifier: GPL-2.0-or-later
"""The kind of each page of a column: the rules applied, and blocks spread over the pages they cover."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdf.capture.pages import Pages
from mdf.capture.rules import RULES, Kind, Rule, Spread


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
    blocks: dict[int, Rule] = {}
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
            blocks.update(dict.fromkeys(_indices(heads, pages.count), rule))
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
    pages: Pages, kinds: bytearray, blocks: dict[int, Rule], warn: Callable[[str], None]
) -> tuple[Kind, int] | None:
    """Fills the blocks in, in order of address; returns the one that reaches beyond the pages."""
    covered = 0
    for index in sorted(blocks):
        if index < covered:
            continue
        rule = blocks[index]
        order = _order(pages, index, rule.spread, warn)
        if order is None:
            continue
        covered = index + (1 << order)
        if covered <= pages.count:
            kinds[index:covered] = _filled(rule.kind, order)
        else:
            kinds[index:] = bytes([rule.kind]) * (pages.count - index)
            return rule.kind, pages.pfn + covered
    return None


def _filled(kind: Kind, order: int) -> bytes:
    return bytes([kind]) * (1 << order)


def _order(pages: Pages, index: int, spread: Spread, warn: Callable[[str], None]) -> int | None:
    """The order of a block; None for a free block that claims an impossible one."""
    length = pages.layout.free_area_length
    if spread is Spread.COMPOUND:
        return pages.compound_order(index)
    if spread is Spread.MAX_ORDER:
        return max((length or 1) - 1, 0)
    order, limit = pages.buddy_order(index), length or 8 * pages.layout.long_size
    if order < limit:
        return order
    warn(
        f"WARNING: Invalid free page order: pfn={pages.pfn + index:x}, order={order}, max order={limit - 1}"
    )
    return None
