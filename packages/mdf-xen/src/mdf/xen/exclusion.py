# SPDX-License-Identifier: GPL-2.0-or-later
"""-X: from the frame table to the bitmap of pages to keep, window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mdf.core.bitmap import CHUNK, Bitmap, unpack
from mdf.core.errors import AddressError, FormatError
from mdf.core.messages import Messages
from mdf.xen.domains import WRONG_SYMBOLS, domains
from mdf.xen.frame_table import FrameTable, PageInfos
from mdf.xen.hypervisor import Hypervisor
from mdf.xen.layouts import pickled
from mdf.xen.ownership import LeftOut, before_xen_4, since_xen_4
from mdf.xen.page_state import choose

_DOMAIN_0 = 0
_PAGE_SHIFT = 12


@dataclass
class Dropped:
    """The numbers of pages of other domains, and of pages that are free, broken or not described."""

    others: int = 0
    unused: int = 0

    def lines(self) -> tuple[tuple[str, int], ...]:
        """The lines of the report."""
        return ("Xen user domain pages", self.others), ("Xen free pages", self.unused)


def exclude_domains(hypervisor: Hypervisor, keep: Bitmap, page_state: str | None, messages: Messages) -> Dropped:
    """Clears in `keep` the pages that are neither domain 0's nor the hypervisor's; returns how many they are.

    `page_state` names a layout of page states to take, instead of the one that the pages show. Raises AddressError,
    FormatError or MissingInfoError if the hypervisor's memory cannot be read, or makes no sense.
    """
    table = FrameTable(hypervisor)
    known = domains(hypervisor)
    for domain in known:
        messages.debug(f"Xen domain {domain.domain_id}: struct domain at {domain.address:#x}")
    start = hypervisor.layout.directmap_start
    dom0 = frozenset(
        pickled(hypervisor.version, domain.address, start) for domain in known if domain.domain_id == _DOMAIN_0
    )
    if not dom0:
        raise FormatError("The hypervisor's list of domains has no domain 0.", hint=WRONG_SYMBOLS)
    rule: Callable[[PageInfos, int], LeftOut]
    if hypervisor.version >= (4,):
        choice = choose(hypervisor.version, hypervisor.crash.name, _windows(table, keep), page_state)
        messages.common(choice.text)

        def rule(pages: PageInfos, pfn: int) -> LeftOut:
            return since_xen_4(pages, choice.state, dom0)
    else:
        heap = _Heap(hypervisor)

        def rule(pages: PageInfos, pfn: int) -> LeftOut:
            return before_xen_4(pages, heap.allocated(pfn, pages.count), heap.inside(pfn, pages.count), dom0)

    dropped, readable = Dropped(), False
    with messages.step("Excluding xen user domain") as progress:
        for pfn in _chunks(keep):
            progress.update(pfn, keep.size)
            pages = table.read(pfn, min(pfn + CHUNK, keep.size))
            readable = readable or pages.unreadable.bit_count() < pages.count
            kept = int.from_bytes(keep.column(pfn, pfn + pages.count), "little")
            out = rule(pages, pfn)
            dropped.others += (out.others & kept).bit_count()
            dropped.unused += (out.unused & kept).bit_count()
            keep.clear_column(pfn, ((out.others | out.unused) & kept).to_bytes(pages.count, "little"))
    if not readable:
        where = hypervisor.layout.frame_table
        raise AddressError(f"Can't read anything of the hypervisor's frame table at {where:#x}.", hint=WRONG_SYMBOLS)
    return dropped


def _chunks(keep: Bitmap) -> Iterator[int]:
    """Where the chunks begin that have any page."""
    for pfn in range(0, keep.size, CHUNK):
        if any(keep.read(pfn >> 3, CHUNK >> 3)):
            yield pfn


def _windows(table: FrameTable, keep: Bitmap) -> Iterator[PageInfos]:
    for pfn in _chunks(keep):
        yield table.read(pfn, min(pfn + CHUNK, keep.size))


class _Heap:
    """What Xen 3 has instead of page states: a bitmap of allocated pages, and a heap at the start of memory."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._bitmap, self._max_page, end = (
            hypervisor.read_pointer(hypervisor.symbol(name))
            for name in ("alloc_bitmap", "max_page", "xenheap_phys_end")
        )
        self._end = end >> _PAGE_SHIFT

    def allocated(self, pfn: int, count: int) -> int:
        """The mask of allocated pages of [pfn, pfn + count)."""
        count = max(min(count, self._max_page - pfn), 0)
        try:
            bits = self._hypervisor.read(self._bitmap + (pfn >> 3), -(-count >> 3)) if count else b""
        except AddressError as error:
            raise AddressError(f"Can't read the hypervisor's alloc_bitmap for page {pfn:#x}: {error}") from error
        return int.from_bytes(unpack(bits)[:count], "little")

    def inside(self, pfn: int, count: int) -> int:
        """The mask of the heap's pages."""
        return int.from_bytes(b"\x01" * max(min(count, self._end - pfn), 0), "little")
