# SPDX-License-Identifier: GPL-2.0-or-later
"""Which layout of page states a hypervisor has, told by what the pages themselves show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mdf.capture.columns import but_not
from mdf.xen.crash_info import Version
from mdf.xen.frame_table import PageInfos
from mdf.xen.layouts import FREE_MAY_HAVE, NEW, OLD, PAGE_STATES, PageState, page_state_of


@dataclass(frozen=True)
class Choice:
    """A layout, and why it was chosen."""

    state: PageState
    reason: str

    @property
    def text(self) -> str:
        """The sentence that says so."""
        return f"Xen's page states have the {self.state.name} layout, by {self.reason}."


def choose(version: Version, name: str, windows: Iterable[PageInfos], asked: str | None = None) -> Choice:
    """The layout that was asked for, or that free pages show, or that of the version.

    Pages count more than the version: distributions have applied the change to releases whose number is older. Only as
    many `windows` are looked at as are needed.
    """
    if asked:
        return Choice(PAGE_STATES[asked], "--xen-page-state")
    for pages in windows:
        old, new = (_free(pages, state).bit_count() for state in (OLD, NEW))
        if old != new:
            return Choice(OLD if old > new else NEW, "its free pages")
    return Choice(page_state_of(version), f"its version, {name}")


def _free(pages: PageInfos, state: PageState) -> int:
    """Pages that are free in a layout: of all bits, only those of this state are set in count_info."""
    free = (state.state, state.state + 1)
    others = ~sum(1 << bit for bit in (*free, *FREE_MAY_HAVE)) & (1 << 64) - 1
    return but_not(pages.count_info(free[0]) & pages.count_info(free[1]), pages.counted_as(others) | pages.unreadable)
