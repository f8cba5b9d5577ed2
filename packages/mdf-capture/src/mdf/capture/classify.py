# SPDX-License-Identifier: GPL-2.0-or-later
"""The kind of each page of a column: the rules applied, and blocks spread over the pages they cover."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import compress

from mdf.capture.columns import but_not
from mdf.capture.pages import Pages
from mdf.capture.rules import RULES, Kind, Spread

_SET = re.compile(b"\x01")


def classify(
    pages: Pages, level: int, eligible: int, warn: Callable[[str], None]
) -> tuple[bytearray, tuple[Kind, int] | None]:
    """The kinds of `pages` at a dump level, a byte for each; `eligible` is the mask of pages that are looked at.

    And the block that reaches beyond the pages: its kind and end (a pfn).

    A block is taken at its first page and decides for all it covers; pages inside are not looked at.
    """
    open_ = but_not(eligible, pages.tail)
    kinds = bytearray(pages.count)
    orders: dict[int, int] = {}  # Of the first pages of blocks; a block of order 0 is but a page.
    found_kinds = 0
    for rule in RULES:
        if not rule.applies(level):
            continue
        found = rule.test(pages) & open_
        if not found:
            continue
        open_ ^= found  # `found` has nothing else.
        heads = found & pages.head if rule.spread is Spread.COMPOUND else found
        # A mask times a kind: each byte is 0 or the kind.
        found_kinds |= found * rule.kind
        if heads:
            indices = [match.start() for match in _SET.finditer(heads.to_bytes(pages.count, "little"))]
            found_orders = list(_orders(pages, indices, rule.spread))
            orders.update(zip(compress(indices, found_orders), filter(None, found_orders), strict=True))
    if found_kinds:
        kinds[:] = found_kinds.to_bytes(pages.count, "little")
    return kinds, _spread(pages, kinds, orders, warn)


def _orders(pages: Pages, indices: list[int], spread: Spread) -> Iterable[int]:
    if spread is Spread.BUDDY:
        return pages.buddy_orders(indices)
    if spread is Spread.MAX_ORDER:
        return [pages.max_order] * len(indices)
    return map(pages.compound_order, indices)


def _spread(
    pages: Pages, kinds: bytearray, orders: dict[int, int], warn: Callable[[str], None]
) -> tuple[Kind, int] | None:
    """Fills the blocks in from their first pages, by address; returns the one that reaches beyond the pages."""
    # Only a free block says an order that has to be checked here.
    limit = pages.layout.free_area_length or 8 * pages.layout.long_size
    count, covered = pages.count, 0
    for index in sorted(orders):
        order = orders[index]
        if index < covered:
            continue
        kind = kinds[index]
        if order >= limit and kind == Kind.FREE:
            warn(f"WARNING: Invalid free page order: pfn={pages.pfn + index:x}, order={order}, max order={limit - 1}")
            kinds[index] = Kind.KEEP
        elif (covered := index + (1 << order)) <= count:
            kinds[index:covered] = _filled(kind, order)
        else:
            kinds[index:] = bytes([kind]) * (count - index)
            return Kind(kind), pages.pfn + covered
    return None


@cache
def _filled(kind: int, order: int) -> bytes:
    return bytes([kind]) * (1 << order)
