# SPDX-License-Identifier: GPL-2.0-or-later
"""How a kind of page looks in its struct pages, in the words of each kernel generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from factory.generation import Compound, Flags, Generation, Types
from factory.kinds import (
    Anon,
    Cache,
    Free,
    Hugetlb,
    Hwpoison,
    Kernel,
    Kind,
    Ksm,
    LargeFolio,
    Movable,
    Offline,
    OwnerPrivate,
    PageTable,
    PcpFree,
    Slab,
    SwapCache,
    Thp,
    Unaccepted,
)
from factory.layout import ByteOrder, PageLayout

NO_TYPE = 0xFFFFFFFF
NOT_COMPOUND = (Free, Unaccepted, PcpFree)
COMPOUND_DTOR, HUGETLB_DTOR, TRANSHUGE_DTOR = 1, 2, 3
POINTER = 0x1240  # an aligned place in the kernel image that stands for any object


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The members of one struct page; `pointer`: which low bits a pointer in page.mapping has, None for no pointer."""

    flags: tuple[str, ...] = ()
    count: int = 1
    mapcount: int = NO_TYPE
    pointer: int | None = None
    private: int = 0
    on_list: bool = False


def _type(value: int | None, name: str) -> int:
    if value is None:
        raise ValueError(f"this kernel has no page type for {name}")
    return value


def _kernel(kind: Kind, types: Types, flags: Flags) -> Fields:
    return Fields(flags=("reserved",) if isinstance(kind, Kernel) and kind.reserved else ())


def _page_table(kind: Kind, types: Types, flags: Flags) -> Fields:
    return Fields(mapcount=NO_TYPE if types.table is None else types.table)


def _slab(kind: Kind, types: Types, flags: Flags) -> Fields:
    assert isinstance(kind, Slab)
    return Fields(
        flags=("slab",) if flags.slab is not None else (),
        mapcount=NO_TYPE if types.slab is None else types.slab,
        pointer=1 if kind.odd_mapping else 0,
    )


def _free(kind: Kind, types: Types, flags: Flags) -> Fields:
    fields = Fields(count=0, private=kind.order, on_list=True)
    return replace(fields, flags=("buddy",)) if types.buddy is None else replace(fields, mapcount=types.buddy)


def _unaccepted(kind: Kind, types: Types, flags: Flags) -> Fields:
    return Fields(count=0, mapcount=_type(types.unaccepted, "unaccepted memory"), on_list=True)


def _cache(kind: Kind, types: Types, flags: Flags) -> Fields:
    assert isinstance(kind, Cache)
    private = ("private",) if kind.private else ()
    return Fields(
        flags=("lru", "uptodate", *private), count=2, pointer=0, private=POINTER if private else 0, on_list=True
    )


def _anon(kind: Kind, types: Types, flags: Flags) -> Fields:
    private = ("private",) if isinstance(kind, Anon) and kind.private else ()
    return Fields(flags=("lru", "uptodate", "dirty", "swapbacked", *private), mapcount=0, pointer=1, on_list=True)


def _ksm(kind: Kind, types: Types, flags: Flags) -> Fields:
    return replace(_anon(kind, types, flags), pointer=3)


def _swap_cache(kind: Kind, types: Types, flags: Flags) -> Fields:
    assert isinstance(kind, SwapCache)
    private = ("private",) if kind.private else ()
    return Fields(
        flags=("swapcache", "swapbacked", "uptodate", *private), pointer=1 if kind.anon else 0, private=0x2A00
    )


def _hugetlb(kind: Kind, types: Types, flags: Flags) -> Fields:
    assert isinstance(kind, Hugetlb)
    return Fields(
        flags=("uptodate",), mapcount=0 if types.hugetlb is None else types.hugetlb, pointer=1 if kind.anon else 0
    )


FIELDS: dict[type[Kind], Callable[[Kind, Types, Flags], Fields]] = {
    Kernel: _kernel,
    PageTable: _page_table,
    Slab: _slab,
    Movable: lambda kind, types, flags: Fields(pointer=2),
    OwnerPrivate: lambda kind, types, flags: Fields(flags=("owner_priv_1", "uptodate")),
    PcpFree: lambda kind, types, flags: Fields(count=0, on_list=True),
    Free: _free,
    Unaccepted: _unaccepted,
    Cache: _cache,
    LargeFolio: _cache,
    Anon: _anon,
    Ksm: _ksm,
    Thp: _anon,
    SwapCache: _swap_cache,
    Hugetlb: _hugetlb,
    Hwpoison: lambda kind, types, flags: Fields(flags=("hwpoison",)),
    Offline: lambda kind, types, flags: Fields(mapcount=_type(types.offline, "offline memory")),
}


@dataclass(frozen=True)
class PageEncoder:
    """Makes the bytes of struct pages; `address_of(pfn)` is the virtual address of a struct page."""

    generation: Generation
    layout: PageLayout
    word: int
    byteorder: ByteOrder
    image: int
    address_of: Callable[[int], int]

    def hole(self) -> bytes:
        """The struct page of a page frame without memory."""
        return self._pack(Fields(flags=("reserved",)))

    def block(self, pfn: int, kind: Kind) -> bytes:
        """The 2^order struct pages of a block."""
        generation = self.generation
        fields = FIELDS[type(kind)](kind, generation.types, generation.flags)
        compound = kind.order > 0 and not isinstance(kind, NOT_COMPOUND)
        if compound:
            fields = replace(fields, flags=(*fields.flags, "head"))
        head = self._pack(fields)
        if kind.order == 0:
            return head
        tail = self._pack(Fields(count=0))
        count = (1 << kind.order) - 1
        if not compound:
            return head + tail * count
        tail = self._tail(pfn, kind)
        return head + self._first_tail(tail, kind) + tail * (count - 1)

    def free_page_address(self) -> int:
        """Address of the function that frees hugetlb pages, which marks them before 4.4."""
        return self.image + 0x2340

    def _tail(self, pfn: int, kind: Kind) -> bytes:
        release = self.generation.release
        if self.generation.head_name is None:
            flags = ("tail",) if self.generation.flags.tail is not None else ("head", "reclaim")
            return self._pack(Fields(flags=flags, count=0))
        page = bytearray(self._pack(Fields(count=0)))
        head = self.address_of(pfn)
        if release >= (7, 1, 0):
            # since 7.1 a mask that leads from any tail to the head
            head = -self.layout.size << kind.order
        self._put(page, self.layout.lru, head | 1, self.word)
        return bytes(page)

    def _first_tail(self, tail: bytes, kind: Kind) -> bytes:
        page, layout = bytearray(tail), self.layout
        hugetlb = isinstance(kind, Hugetlb)
        if self.generation.compound is Compound.FLAGS:
            flags = kind.order
            if hugetlb and self.generation.flags.hugetlb is not None:
                flags |= 1 << self.generation.flags.hugetlb
            self._put(page, layout.flags, flags, self.word)
            return bytes(page)
        if self.generation.compound is Compound.LRU:
            dtor = self.free_page_address() if hugetlb else self.image + 0x2780
        else:
            dtor = HUGETLB_DTOR if hugetlb else TRANSHUGE_DTOR if isinstance(kind, Thp) else COMPOUND_DTOR
        self._put(page, layout.dtor, dtor, layout.dtor_width)
        self._put(page, layout.order, kind.order, layout.order_width)
        return bytes(page)

    def _pack(self, fields: Fields) -> bytes:
        page, layout = bytearray(self.layout.size), self.layout
        flags = 0
        for name in fields.flags:
            bit: int | None = getattr(self.generation.flags, name)
            if bit is not None:
                flags |= 1 << bit
            elif name != "swapbacked":
                raise ValueError(f"this kernel has no page flag PG_{name}")
        pointer = self.image + POINTER
        self._put(page, layout.flags, flags, self.word)
        self._put(page, layout.count, fields.count, 4)
        self._put(page, layout.mapcount, fields.mapcount, 4)
        self._put(page, layout.private, fields.private, self.word)
        self._put(page, layout.mapping, 0 if fields.pointer is None else pointer | fields.pointer, self.word)
        if fields.on_list:
            self._put(page, layout.lru, pointer, self.word)
            self._put(page, layout.lru + self.word, pointer, self.word)
        return bytes(page)

    def _put(self, page: bytearray, offset: int, value: int, width: int) -> None:
        page[offset : offset + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, self.byteorder)
