# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages are left out, in order: the first rule that holds for a page decides.

A rule is data: what the page counts as, the dump-level bits that ask for it, its test, and how many pages go with it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from mdf.capture.columns import but_not
from mdf.capture.pages import Pages


class DumpLevel(enum.IntFlag):
    """The bits of `-d`."""

    ZERO = 1
    CACHE = 2
    CACHE_PRIVATE = 4
    USER = 8
    FREE = 16


class Kind(enum.IntEnum):
    """What a page is left out as; `KEEP` is not left out."""

    KEEP = 0
    CACHE = 1
    CACHE_PRIVATE = 2
    USER = 3
    FREE = 4
    HWPOISON = 5
    OFFLINE = 6


class Spread(enum.Enum):
    """How far a rule reaches from the page it holds for."""

    COMPOUND = enum.auto()
    """The compound page it is the head of, if it is one."""
    BUDDY = enum.auto()
    """The free block, of the order in page.private."""
    MAX_ORDER = enum.auto()
    """A block of the largest order of the buddy system."""


@dataclass(frozen=True)
class Rule:
    """Pages for which `test` holds count as `kind`, if the level has one of `levels` (or whatever the level)."""

    kind: Kind
    levels: DumpLevel
    test: Callable[[Pages], int]
    spread: Spread = Spread.COMPOUND

    def applies(self, level: int) -> bool:
        """Whether a dump level asks for this rule."""
        return not self.levels or bool(self.levels & level)


_ANY = DumpLevel(0)

RULES = (
    Rule(Kind.FREE, DumpLevel.FREE, lambda pages: pages.buddy, Spread.BUDDY),
    Rule(Kind.FREE, DumpLevel.FREE, lambda pages: pages.unaccepted, Spread.MAX_ORDER),
    Rule(
        Kind.CACHE,
        DumpLevel.CACHE | DumpLevel.CACHE_PRIVATE,
        lambda pages: but_not(pages.cache, pages.private | pages.anonymous),
    ),
    Rule(
        Kind.CACHE_PRIVATE, DumpLevel.CACHE_PRIVATE, lambda pages: but_not(pages.cache & pages.private, pages.anonymous)
    ),
    Rule(Kind.USER, DumpLevel.USER, lambda pages: pages.anonymous | pages.hugetlb),
    # Reading a poisoned page may stop the machine; an offline page may not be there at all.
    Rule(Kind.HWPOISON, _ANY, lambda pages: pages.hwpoison),
    Rule(Kind.OFFLINE, _ANY, lambda pages: pages.offline),
)
