# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page frame can be: one frozen record for each kind, placed with `place(pfn, kind)`.

A kind covers 2^order page frames. `levels` says at which dump-level bits a correct filter leaves the block out: any of
those bits is enough; `ALWAYS` means at every level, as soon as struct pages are looked at at all. It is what the kind
*means*, written down by hand and independently of how the struct pages come to say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NON_PRIVATE_CACHE, ALL_CACHE, USER, FREE = 2, 4, 8, 16
ALWAYS = 32


class Content(Enum):
    """What the bytes of a page look like."""

    ZERO = "zero"
    NUMBER = "number"  # the page frame number, repeated
    TEXT = "text"  # compresses to about a third
    RANDOM = "random"  # does not compress
    CONSTANT = "constant"  # one byte value, never zero


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Anything that 2^order page frames can be."""

    order: int = 0
    content: Content = Content.NUMBER

    @property
    def levels(self) -> int:
        """The dump-level bits that drop this block; 0 when nothing does."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Kernel(Kind):
    """An allocation of the kernel; with an order above 0 a compound page. `reserved` sets PG_reserved."""

    reserved: bool = False


@dataclass(frozen=True, kw_only=True)
class PageTable(Kind):
    """A page-table page: has a page type since 4.18."""


@dataclass(frozen=True, kw_only=True)
class Slab(Kind):
    """A slab; `odd_mapping`: its objects make page.mapping look anonymous, possible since 6.2."""

    odd_mapping: bool = False


@dataclass(frozen=True, kw_only=True)
class Movable(Kind):
    """A movable page that is not on the LRU (zsmalloc): bit 1 of page.mapping without bit 0."""


@dataclass(frozen=True, kw_only=True)
class OwnerPrivate(Kind):
    """PG_owner_priv_1 without PG_swapbacked: the bit of PG_swapcache since 4.10, with another meaning."""


@dataclass(frozen=True, kw_only=True)
class PcpFree(Kind):
    """Free on a per-CPU list: not in the buddy state, so it stays."""


@dataclass(frozen=True, kw_only=True)
class Free(Kind):
    """A block of the buddy allocator."""

    migrate_type: int = 0

    @property
    def levels(self) -> int:
        """Dropped by level 16."""
        return FREE


@dataclass(frozen=True, kw_only=True)
class Unaccepted(Kind):
    """Memory that a confidential guest has not accepted yet (6.16+): one block of the largest order."""

    order: int = 10

    @property
    def levels(self) -> int:
        """Dropped by level 16."""
        return FREE


@dataclass(frozen=True, kw_only=True)
class Cache(Kind):
    """Page cache on the LRU."""

    private: bool = False

    @property
    def levels(self) -> int:
        """Dropped by level 4; without private data by level 2 too."""
        return ALL_CACHE if self.private else NON_PRIVATE_CACHE | ALL_CACHE


@dataclass(frozen=True, kw_only=True)
class LargeFolio(Cache):
    """A compound page in the page cache (5.18+)."""

    order: int = 4


@dataclass(frozen=True, kw_only=True)
class Anon(Kind):
    """Anonymous memory of a process; `private` sets PG_private, which must not matter."""

    private: bool = False

    @property
    def levels(self) -> int:
        """Dropped by level 8."""
        return USER


@dataclass(frozen=True, kw_only=True)
class Ksm(Kind):
    """A page merged by KSM: bits 0 and 1 of page.mapping."""

    @property
    def levels(self) -> int:
        """Dropped by level 8."""
        return USER


@dataclass(frozen=True, kw_only=True)
class Thp(Anon):
    """A transparent huge page."""

    order: int = 9


@dataclass(frozen=True, kw_only=True)
class SwapCache(Kind):
    """In the swap cache and off the LRU: anonymous, or shared memory."""

    anon: bool = True
    private: bool = False

    @property
    def levels(self) -> int:
        """Dropped as user data when anonymous, as cache when not."""
        if self.anon:
            return USER
        return ALL_CACHE if self.private else NON_PRIVATE_CACHE | ALL_CACHE


@dataclass(frozen=True, kw_only=True)
class Hugetlb(Kind):
    """A page of hugetlbfs; `anon`: mapped private, so page.mapping says anonymous too."""

    order: int = 9
    anon: bool = False

    @property
    def levels(self) -> int:
        """Dropped by level 8."""
        return USER


@dataclass(frozen=True, kw_only=True)
class Hwpoison(Kind):
    """Bad memory, taken out of use."""

    @property
    def levels(self) -> int:
        """Dropped whenever struct pages are scanned."""
        return ALWAYS


@dataclass(frozen=True, kw_only=True)
class Offline(Kind):
    """Logically offline: a balloon's or a virtio-mem page (4.20+)."""

    @property
    def levels(self) -> int:
        """Dropped whenever struct pages are scanned."""
        return ALWAYS


@dataclass(frozen=True)
class Placement:
    """A kind and the page frame number of its first page."""

    pfn: int
    kind: Kind

    @property
    def pfns(self) -> range:
        """The page frames that it covers."""
        return range(self.pfn, self.pfn + (1 << self.kind.order))


def place(pfn: int, kind: Kind) -> Placement:
    """Declare what the block of page frames at `pfn` is."""
    if pfn % (1 << kind.order):
        raise ValueError(f"pfn {pfn:#x} is not aligned to order {kind.order}")
    return Placement(pfn, kind)
