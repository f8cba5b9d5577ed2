# SPDX-License-Identifier: GPL-2.0-or-later
"""What always holds for pages of a class, whatever the kernel: seen on the pages that are about to be left out.

- A free page is used by nobody: its _refcount is 0.
- A cache or user page is used, its mapping is a pointer into the kernel, and it is on an LRU list, but for a few.
- A page with PG_private keeps something in page.private, and a file's page without it nothing.
- A compound page goes with its tails and with nothing else; before the first tail there is a head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mdf.capture.columns import but_not
from mdf.capture.layout import PageLayout
from mdf.capture.pages import Pages
from mdf.capture.rules import Kind
from mdf.capture.selfcheck.doubt import CACHES, IN_USE, Doubt
from mdf.core.bitmap import CHUNK
from mdf.core.kernel import Kernel

_CHUNKS_MAX = 4
# As the machine stops, a few pages are being changed; so many must contradict, and such a part of those looked at.
_FEW = 32
_PART, _LARGE_PART, _ANY_PART = 64, 8, 1 << 60

# What contradicts what: the pages looked at, the kinds that can't be told then, and the part that is too much.
_CONTRADICTIONS: tuple[tuple[str, str, tuple[Kind, ...], int], ...] = (
    ("free", "are used", (Kind.FREE,), _PART),
    ("cache", "are unused", CACHES, _PART),
    ("cache", "have no file", CACHES, _PART),
    ("user", "are unused", (Kind.USER,), _PART),
    ("user", "have no process", (Kind.USER,), _PART),
    ("process", "are on no list", IN_USE, _LARGE_PART),
    ("process", "are not swap-backed", IN_USE, 2),
    ("compound", "are no tails", IN_USE, _ANY_PART),
    ("first tail", "have no head before", IN_USE, _LARGE_PART),
    ("file", "are on no list", CACHES, 2),
    ("private", "keep nothing", CACHES, _PART),
    ("not private", "keep something", CACHES, _PART),
)


class Invariants:
    """Tallies pages, by class and contradiction; shown chunks of pages, it looks at a sample of them."""

    def __init__(self, kernel: Kernel, layout: PageLayout, max_mapnr: int) -> None:
        self._layout = layout
        self._refcount = kernel.info.offset("page._refcount", "page._count")
        self._every = max(-(-max_mapnr // CHUNK) // _CHUNKS_MAX, 1)
        top = kernel.machine.kernel_base >> kernel.dump.bits - 8
        self._below = bytes(byte < top for byte in range(256)) if top else None
        self.tally: Counter[str] = Counter()

    def see(self, pages: Pages, kinds: bytearray) -> None:
        """Looks at the pages of a chunk, and at the kind that each was given."""
        if pages.pfn // CHUNK % self._every:
            return
        layout = self._layout
        heads = but_not(pages.all, pages.tail)
        free, user, *caches = (_of(kinds, kind) for kind in (Kind.FREE, Kind.USER, *CACHES))
        cache, anonymous = caches[0] | caches[1], pages.anonymous & heads
        own = pages.cache | pages.anonymous | pages.hugetlb
        lru, swapcache = pages.flag(layout.lru), pages.flag(layout.swapcache)
        unused = 0 if self._refcount is None else pages.equals(self._refcount, 4, 0)
        lost = self._without_pointer(pages)
        if self._refcount is not None:
            self._add("free", free, {"are used": but_not(free, unused)})
        # What is in the swap cache alone has left its file or process.
        files, users = but_not(cache & heads & own, swapcache), user & anonymous
        self._add("cache", files, {"are unused": files & unused, "have no file": files & lost})
        self._add("user", users, {"are unused": users & unused, "have no process": users & lost})
        process = but_not(anonymous, unused | lost)
        self._add("process", process, {"are on no list": but_not(process, pages.cache)})
        if layout.swapbacked is not None:
            self._add("process", 0, {"are not swap-backed": but_not(process, pages.flag(layout.swapbacked))})
        if layout.compound_head is not None:
            first = pages.tail >> 8 & heads
            self._add("compound", cache | user, {"are no tails": but_not((cache | user) & heads, own)})
            self._add("first tail", first, {"have no head before": but_not(first, pages.any_flag(layout.head_mask))})
        movable = pages.bit(layout.mapping, layout.long_size, 1)
        file = but_not(heads, unused | lost | anonymous | pages.slab | movable)
        self._add("file", file, {"are on no list": but_not(file, lru)})
        self._see_private(pages, files)

    def doubts(self) -> Iterator[Doubt]:
        """What contradicts itself too often."""
        tally = self.tally
        for name, contradiction, kinds, part in _CONTRADICTIONS:
            count, wrong = tally[name], tally[f"{name}: {contradiction}"]
            if wrong > _FEW and wrong * part > count:
                yield Doubt(kinds, f"{wrong} of {count} {name} pages {contradiction}")

    def _add(self, name: str, mask: int, contradictions: dict[str, int] | None = None) -> None:
        self.tally[name] += mask.bit_count()
        for contradiction, wrong in (contradictions or {}).items():
            self.tally[f"{name}: {contradiction}"] += wrong.bit_count()

    def _without_pointer(self, pages: Pages) -> int:
        """Pages whose mapping is no kernel address, by its highest byte; where that may be 0, those without any."""
        offset, size = self._layout.mapping, self._layout.long_size
        if self._below is None:
            return pages.equals(offset, size, 0)
        highest = offset + (size - 1 if self._layout.byteorder == "little" else 0)
        return int.from_bytes(pages.bytes_at(highest).translate(self._below), "little")

    def _see_private(self, pages: Pages, files: int) -> None:
        offset = self._layout.private
        if offset is not None:
            nothing = pages.equals(offset, self._layout.long_size, 0)
            private, others = files & pages.private, but_not(files, pages.private)
            self._add("private", private, {"keep nothing": private & nothing})
            self._add("not private", others, {"keep something": but_not(others, nothing)})


def _of(kinds: bytearray, kind: Kind) -> int:
    return int.from_bytes(kinds.translate(_IS[kind]), "little")


_IS = {kind: bytes(byte == kind for byte in range(256)) for kind in Kind}
