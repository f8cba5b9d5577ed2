# SPDX-License-Identifier: GPL-2.0-or-later
"""What changed from kernel release to kernel release in `struct page` and its flags, 2.6.15 to 7.2, as tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

Release = tuple[int, int, int]
Row = TypeVar("Row")


def parse_release(text: str) -> Release:
    """The three numbers of a release string: `6.1.0-56-amd64` is (6, 1, 0)."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise ValueError(f"not a kernel release: {text!r}")
    return int(found[1]), int(found[2]), int(found[3] or 0)


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Bit numbers in page.flags; None where the kernel has no such flag."""

    referenced: int = 2
    uptodate: int = 3
    dirty: int = 4
    lru: int
    slab: int | None
    owner_priv_1: int
    reserved: int
    private: int
    head: int
    tail: int | None = None
    reclaim: int
    swapcache: int
    swapbacked: int | None
    buddy: int | None = None
    hugetlb: int | None = None
    hwpoison: int | None


FLAGS: tuple[tuple[Release, Flags], ...] = (
    # PG_compound for heads and tails alike, PG_reclaim on top of it for tails
    ((2, 6, 15), Flags(lru=5, slab=7, owner_priv_1=8, reserved=10, private=11, head=14, reclaim=17, swapcache=15,
                       swapbacked=None, buddy=19, hwpoison=None)),
    # two flags, PG_head and PG_tail, on 64-bit
    ((2, 6, 28), Flags(lru=5, slab=7, owner_priv_1=8, reserved=10, private=11, head=14, tail=15, reclaim=18,
                       swapcache=16, swapbacked=20, buddy=19, hwpoison=24)),
    ((2, 6, 38), Flags(lru=5, slab=7, owner_priv_1=8, reserved=10, private=11, head=14, tail=15, reclaim=18,
                       swapcache=16, swapbacked=19, hwpoison=23)),
    # PG_tail became bit 0 of page.compound_head
    ((4, 4, 0), Flags(lru=5, slab=7, owner_priv_1=8, reserved=10, private=11, head=14, reclaim=17, swapcache=15,
                      swapbacked=18, hwpoison=22)),
    # PG_swapcache became another name of PG_owner_priv_1
    ((4, 10, 0), Flags(lru=5, slab=8, owner_priv_1=9, reserved=11, private=12, head=15, reclaim=17, swapcache=9,
                       swapbacked=18, hwpoison=22)),
    ((4, 20, 0), Flags(referenced=1, uptodate=2, dirty=3, lru=4, slab=9, owner_priv_1=10, reserved=12, private=13,
                       head=16, reclaim=18, swapcache=10, swapbacked=19, hwpoison=23)),
    # PG_head into the low byte, which is the order in the first tail
    ((6, 6, 0), Flags(lru=5, slab=11, owner_priv_1=12, reserved=14, private=15, head=6, reclaim=18, swapcache=12,
                      swapbacked=19, hugetlb=8, hwpoison=23)),
    ((6, 9, 0), Flags(lru=5, slab=11, owner_priv_1=12, reserved=14, private=15, head=6, reclaim=18, swapcache=12,
                      swapbacked=19, hwpoison=23)),
    # slab became a page type
    ((6, 10, 0), Flags(lru=5, slab=None, owner_priv_1=11, reserved=13, private=14, head=6, reclaim=17, swapcache=11,
                       swapbacked=18, hwpoison=22)),
    ((6, 12, 0), Flags(lru=5, slab=None, owner_priv_1=10, reserved=12, private=14, head=6, reclaim=16, swapcache=10,
                       swapbacked=17, hwpoison=21)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Types:
    """Values of page._mapcount that name a page type, as unsigned 32-bit words; None where there is no such type."""

    buddy: int | None = None
    offline: int | None = None
    table: int | None = None
    hugetlb: int | None = None
    slab: int | None = None
    unaccepted: int | None = None


def _cleared(bit: int) -> int:
    return 0xFFFFFFFF & ~bit


TYPES: tuple[tuple[Release, Types], ...] = (
    ((2, 6, 15), Types()),
    ((2, 6, 38), Types(buddy=0xFFFFFFFE)),
    ((2, 6, 39), Types(buddy=0xFFFFFF80)),
    ((4, 18, 0), Types(buddy=_cleared(0x80), table=_cleared(0x400))),
    ((4, 20, 0), Types(buddy=_cleared(0x80), offline=_cleared(0x100), table=_cleared(0x400))),
    ((6, 9, 0), Types(buddy=_cleared(0x80), offline=_cleared(0x100), table=_cleared(0x200), hugetlb=_cleared(0x800))),
    ((6, 10, 0), Types(buddy=_cleared(0x80), offline=_cleared(0x100), table=_cleared(0x200), hugetlb=_cleared(0x800),
                       slab=_cleared(0x1000))),
    ((6, 11, 0), Types(buddy=_cleared(1 << 30), offline=_cleared(1 << 29), table=_cleared(1 << 28),
                       hugetlb=_cleared(1 << 26), slab=_cleared(1 << 25))),
    # a number in the top byte instead of a bit
    ((6, 12, 0), Types(buddy=0xF0000000, offline=0xF1000000, table=0xF2000000, hugetlb=0xF4000000, slab=0xF5000000)),
    ((6, 16, 0), Types(buddy=0xF0000000, offline=0xF1000000, table=0xF2000000, hugetlb=0xF4000000, slab=0xF5000000,
                       unaccepted=0xF7000000)),
)  # fmt: skip


class Compound(Enum):
    """Where a compound page keeps its order and its destructor."""

    LRU = "first tail's lru: prev the order, next the destructor's address"
    WIDE = "first tail's compound_order and compound_dtor, 16 bits"
    NARROW = "first tail's compound_order and compound_dtor, 8 bits"
    FOLIO = "the same bytes, called folio._folio_order and _folio_dtor"
    FLAGS = "low byte of the first tail's flags; hugetlb is a flag of the first tail, later a page type of the head"


COMPOUND: tuple[tuple[Release, Compound], ...] = (
    ((2, 6, 15), Compound.LRU),
    ((4, 4, 0), Compound.WIDE),
    ((4, 16, 0), Compound.NARROW),
    ((6, 3, 0), Compound.FOLIO),
    ((6, 6, 0), Compound.FLAGS),
)


@dataclass(frozen=True)
class Generation:
    """The rows of all tables that hold for one release."""

    release: Release
    flags: Flags
    types: Types
    compound: Compound

    @property
    def count_name(self) -> str:
        """The name of the reference counter's member."""
        return "_refcount" if self.release >= (4, 6, 0) else "_count"

    @property
    def head_name(self) -> str | None:
        """The name of the member whose bit 0 marks a tail."""
        if self.release < (4, 4, 0):
            return None
        return "compound_info" if self.release >= (7, 1, 0) else "compound_head"

    @property
    def uts_offset(self) -> int:
        """Of `name` in struct uts_namespace; the older `system_utsname` has none before it."""
        return 4 if (2, 6, 19) <= self.release < (5, 11, 0) else 0


def _last(rows: tuple[tuple[Release, Row], ...], release: Release) -> Row:
    return [row for since, row in rows if since <= release][-1]


def generation(release: str) -> Generation:
    """Everything that depends on the release."""
    parsed = parse_release(release)
    if parsed < (2, 6, 15):
        raise ValueError(f"kernel {release} is older than 2.6.15")
    return Generation(parsed, _last(FLAGS, parsed), _last(TYPES, parsed), _last(COMPOUND, parsed))
