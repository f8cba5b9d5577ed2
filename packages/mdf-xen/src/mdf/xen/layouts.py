# SPDX-License-Identifier: GPL-2.0-or-later
"""What changed from one Xen to the next: virtual memory, page states, and how a page names its owner (x86_64)."""

from __future__ import annotations

from dataclasses import dataclass

from mdf.xen.crash_info import Version

GIB = 1 << 30
# Where the hypervisor's addresses are; all else is a guest's.
HYPERVISOR_START, HYPERVISOR_END = 0xFFFF8000_00000000, 0xFFFF8800_00000000


@dataclass(frozen=True)
class VirtualLayout:
    """Where all memory is mapped, and the array of struct page_info."""

    directmap_start: int
    directmap_end: int
    frame_table: int


_XEN_3 = VirtualLayout(0xFFFF8300_00000000, 0xFFFF8400_00000000, 0xFFFF82F6_00000000)
_XEN_4_0 = VirtualLayout(0xFFFF8300_00000000, 0xFFFF8800_00000000, 0xFFFF82F6_00000000)
_XEN_4_3 = VirtualLayout(0xFFFF8300_00000000, 0xFFFF8800_00000000, 0xFFFF82E0_00000000)
# Built for more than 16 TiB (CONFIG_BIGMEM): the frame table is where all memory is mapped otherwise.
_BIGMEM = VirtualLayout(0xFFFF8480_00000000, 0xFFFF8800_00000000, 0xFFFF8300_00000000)


def virtual_layout(version: Version, frame_table: int | None) -> VirtualLayout:
    """The layout of a version; `frame_table` is what Xen itself says about it, if anything."""
    if frame_table == _BIGMEM.frame_table:
        return _BIGMEM
    layout = _XEN_3 if version < (4,) else _XEN_4_0 if version < (4, 3) else _XEN_4_3
    return layout if frame_table is None else VirtualLayout(layout.directmap_start, layout.directmap_end, frame_table)


@dataclass(frozen=True)
class PageState:
    """Where page_info.count_info has a page's state; bit numbers. The state has two bits from `state` on: 0 in use,
    1 being offlined, 2 offlined, 3 free.
    """

    name: str
    broken: int
    state: int


XEN_HEAP, ALLOCATED = 62, 63
# A free page that needs scrubbing has one of these set: bit 63 since 4.10, and bit 57 since 4.22.
FREE_MAY_HAVE = (ALLOCATED, 57)

OLD = PageState("old", broken=57, state=55)
NEW = PageState("new", broken=60, state=58)
PAGE_STATES = {state.name: state for state in (OLD, NEW)}

# The fix of XSA-402 (June 2022) moved them: the first release of each branch with it. Branches after these have it.
_NEW_SINCE = {13: 5, 14: 6, 15: 3, 16: 2}


def page_state_of(version: Version) -> PageState:
    """The layout of a release; distributions have applied the fix to older ones too."""
    branch = version.minor if version.major == 4 else (99 if version.major > 4 else 0)
    if branch > max(_NEW_SINCE):
        return NEW
    return NEW if branch in _NEW_SINCE and version.point >= _NEW_SINCE[branch] else OLD


def pickled(version: Version, domain: int, directmap_start: int) -> int:
    """What page_info._domain has for the struct domain at this address (32 bits)."""
    if version >= (3, 4):
        return domain - directmap_start >> 12 & 0xFFFFFFFF
    return domain & 0xFFFFFFFF
