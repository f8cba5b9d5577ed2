# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages are neither the hypervisor's nor domain 0's: what -X leaves out, as masks."""

from __future__ import annotations

from dataclasses import dataclass

from mdf.capture.columns import but_not
from mdf.xen.frame_table import PageInfos
from mdf.xen.layouts import ALLOCATED, XEN_HEAP, PageState

_REFERENCES = 0xFFFF  # The count of them, in count_info.


@dataclass(frozen=True)
class LeftOut:
    """Masks of pages: owned by other domains than domain 0, and free, broken or without a struct page_info."""

    others: int
    unused: int


def since_xen_4(pages: PageInfos, state: PageState, dom0: frozenset[int]) -> LeftOut:
    """The rules of Xen 4 and later; `dom0` are the values of _domain that mean domain 0.

    A page of the hypervisor's heap is kept first of all. Its state comes before bit 63: a free page may have that too.
    """
    high = pages.count_info(state.state + 1)  # Offlined and free are the states 2 and 3.
    heap = pages.count_info(XEN_HEAP)
    unused = pages.unreadable | but_not(high | pages.count_info(state.broken), heap)
    owned = but_not(pages.count_info(ALLOCATED), heap | pages.owned_by(0))
    return LeftOut(but_not(owned, _any(pages, dom0) | unused), unused)


def before_xen_4(pages: PageInfos, allocated: int, heap: int, dom0: frozenset[int]) -> LeftOut:
    """The rules before; `allocated` and `heap` are masks of allocated pages and of the heap's."""
    unused = pages.unreadable | but_not(pages.all, allocated)
    owned = but_not(pages.all, pages.owned_by(0) | heap | pages.counted_as(_REFERENCES) & _any(pages, dom0))
    return LeftOut(but_not(owned, unused), unused)


def _any(pages: PageInfos, owners: frozenset[int]) -> int:
    mask = 0
    for owner in owners:
        mask |= pages.owned_by(owner)
    return mask
