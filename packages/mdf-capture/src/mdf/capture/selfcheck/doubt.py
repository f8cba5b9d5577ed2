# SPDX-License-Identifier: GPL-2.0-or-later
"""Classes of pages that can't be told on a kernel, and how they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from mdf.capture.layout import PageLayout
from mdf.capture.rules import RULES, DumpLevel, Kind

ALL = tuple(kind for kind in Kind if kind is not Kind.KEEP)
CACHES = (Kind.CACHE, Kind.CACHE_PRIVATE)
IN_USE = (*CACHES, Kind.USER)

_NAMES = {
    Kind.CACHE: "cache pages",
    Kind.CACHE_PRIVATE: "cache pages",
    Kind.USER: "user pages",
    Kind.FREE: "free pages",
    Kind.HWPOISON: "poisoned pages",
    Kind.OFFLINE: "offline pages",
}
_LEVELS = {
    Kind.CACHE: DumpLevel.CACHE | DumpLevel.CACHE_PRIVATE,
    Kind.CACHE_PRIVATE: DumpLevel.CACHE | DumpLevel.CACHE_PRIVATE,
    Kind.USER: DumpLevel.USER,
    Kind.FREE: DumpLevel.FREE,
}


@dataclass(frozen=True)
class Doubt:
    """Kinds of pages that can't be told on this kernel, and the reason with its numbers."""

    kinds: tuple[Kind, ...]
    reason: str


def asked_for(level: int) -> set[Kind]:
    """The kinds of pages that a dump level leaves out."""
    return {rule.kind for rule in RULES if rule.applies(level)}


def described(doubts: Iterable[Doubt], level: int) -> list[str]:
    """A line for each class that `level` leaves out and that is kept, with the first reason for it."""
    asked = asked_for(level)
    lines: dict[str, str] = {}
    for doubt in doubts:
        for kind in doubt.kinds:
            if kind in asked:
                lines.setdefault(_NAMES[kind], doubt.reason)
    return [f"{name} not excluded: {reason}" for name, reason in lines.items()]


def without(kinds: Iterable[Kind], level: int, layout: PageLayout) -> tuple[int, PageLayout]:
    """The dump level and the layout with which the filter keeps pages of these kinds."""
    for kind in kinds:
        level &= ~int(_LEVELS.get(kind, 0))
        if kind is Kind.HWPOISON:
            layout = replace(layout, hwpoison=None)
        elif kind is Kind.OFFLINE:
            layout = replace(layout, offline_type=None)
    return level, layout
