# SPDX-License-Identifier: GPL-2.0-or-later
"""What one struct page says, in the words of VMCOREINFO."""

from __future__ import annotations

from dataclasses import dataclass

from oracle.image import Image, Info


@dataclass(frozen=True)
class Page:
    """The members that matter; 0 for those whose offset is not known."""

    flags: int
    mapcount: int
    mapping: int
    private: int
    head: int


@dataclass(frozen=True)
class Reader:
    """Reads struct pages and tests them."""

    image: Image
    info: Info
    size: int
    hwpoison: int | None
    free_areas: int | None

    @classmethod
    def of(cls, image: Image, info: Info) -> Reader:
        """A reader for this kernel."""
        return cls(image, info, info.size("page"), info.number("PG_hwpoison"), info.value("LENGTH(zone.free_area)"))

    def page(self, at: int) -> Page:
        """The struct page at a virtual address."""
        raw = self.image.read(at, self.size)

        def member(name: str, width: int) -> int:
            offset = self.info.offset(f"page.{name}")
            return 0 if offset is None else int.from_bytes(raw[offset : offset + width], self.image.byteorder)

        word = self.image.word
        mapcount = member("_mapcount", 4)
        return Page(
            member("flags", word),
            mapcount - (1 << 32) if mapcount >> 31 else mapcount,
            member("mapping", word),
            member("private", word),
            member("compound_head", word) or member("compound_info", word),
        )

    def _flag(self, page: Page, name: str, default: int | None = None) -> bool:
        bit = self.info.number(f"PG_{name}")
        bit = default if bit is None else bit
        return bit is not None and bool(page.flags >> bit % 32 & 1)

    def _type(self, page: Page, name: str) -> bool:
        return page.mapcount == self.info.number(f"PAGE_{name}_MAPCOUNT_VALUE")

    @property
    def has_buddy(self) -> bool:
        """Whether free pages can be told from their struct page."""
        if self.info.offset("page.private") is None:
            return False
        if self.info.number("PAGE_BUDDY_MAPCOUNT_VALUE") is not None:
            return self.info.offset("page._mapcount") is not None
        return self.info.number("PG_buddy") is not None

    def is_buddy(self, page: Page) -> bool:
        """The first page of a free block."""
        if not self.has_buddy:
            return False
        if self.info.number("PAGE_BUDDY_MAPCOUNT_VALUE") is not None:
            return not self.is_slab(page) and self._type(page, "BUDDY")
        return self._flag(page, "buddy")

    def is_unaccepted(self, page: Page) -> bool:
        """The first page of a block that the guest has not accepted."""
        return self._type(page, "UNACCEPTED")

    def is_slab(self, page: Page) -> bool:
        """Slab, by type or by flag."""
        return self._type(page, "SLAB") or self._flag(page, "slab", 7)

    def is_cache(self, page: Page) -> bool:
        """On the LRU, or in the swap cache."""
        if self._flag(page, "lru", 5):
            return True
        swapcache, private = self.info.number("PG_swapcache"), self.info.number("PG_private")
        private = 11 if private is None else private
        backed = self.info.number("PG_swapbacked")
        if backed is None and swapcache is not None and swapcache < private:
            backed = private + 6
        is_backed = backed is None or bool(page.flags >> backed % 32 & 1)
        return is_backed and self._flag(page, "swapcache", 15)

    def is_private(self, page: Page) -> bool:
        """With private data."""
        return self._flag(page, "private", 11)

    def is_anon(self, page: Page) -> bool:
        """Anonymous memory."""
        return bool(page.mapping & 1) and not self.is_slab(page)

    def is_hwpoison(self, page: Page) -> bool:
        """Bad memory."""
        return self._flag(page, "hwpoison")

    def is_offline(self, page: Page) -> bool:
        """Logically offline."""
        return not self.is_slab(page) and self._type(page, "OFFLINE")

    def is_head(self, page: Page) -> bool:
        """The first page of a compound page."""
        mask = self.info.number("PG_head_mask")
        return bool(page.flags & (1 << 14 if mask is None else mask))

    def _tail(self, at: int, offset: int, width: int) -> int:
        return self.image.number(at + self.size + offset, width)

    @property
    def _lru(self) -> int:
        return self.info.offset("page.lru") or 0

    def order(self, at: int, page: Page) -> int:
        """The order of a compound page; 0 for what is none."""
        info, release = self.info, self.info.release
        if not self.is_head(page):
            return 0
        if info.number("PAGE_HUGETLB_MAPCOUNT_VALUE") is not None or info.number("PG_hugetlb") is not None:
            return self.page(at + self.size).flags & 0xFF
        folio, compound = info.offset("folio._folio_order"), info.offset("page.compound_order")
        if folio is not None:
            return self._tail(at, folio - self.size, 1)
        if compound is not None:
            return self._tail(at, compound, 1 if release >= (4, 16) else 2)
        if release < (4, 4):
            return self._tail(at, self._lru + (info.offset("list_head.prev") or 0), 2)
        return 0

    def is_hugetlb(self, at: int, page: Page) -> bool:
        """A page of hugetlbfs."""
        info, release = self.info, self.info.release
        if not self.is_head(page):
            return False
        if info.number("PAGE_HUGETLB_MAPCOUNT_VALUE") is not None:
            return self._type(page, "HUGETLB")
        if info.number("PG_hugetlb") is not None:
            return self._flag(self.page(at + self.size), "hugetlb")
        folio, compound = info.offset("folio._folio_dtor"), info.offset("page.compound_dtor")
        dtor = 0
        if folio is not None:
            dtor = self._tail(at, folio - self.size, 1)
        elif compound is not None:
            dtor = self._tail(at, compound, 1 if release >= (4, 16) else 2 if release >= (4, 4) else self.image.word)
        elif release < (4, 4):
            dtor = self._tail(at, self._lru + (info.offset("list_head.next") or 0), self.image.word)
        return dtor != 0 and dtor in (info.number("HUGETLB_PAGE_DTOR"), info.symbol("free_huge_page"))
