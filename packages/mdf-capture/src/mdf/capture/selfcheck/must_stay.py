# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages that no filter may leave out: the kernel's text and data, its page tables, its log, its memory map."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from mdf.capture.page_filter import KnownKernel
from mdf.capture.pages import Pages
from mdf.capture.rules import Kind
from mdf.capture.selfcheck.own_words import OwnWords
from mdf.core.arch.paging import Step
from mdf.core.bitmap import Bitmap
from mdf.core.errors import MdfError

_SYMBOLS = (
    "_stext",
    "init_uts_ns",
    "system_utsname",
    "swapper_pg_dir",
    "init_top_pgt",
    "init_level4_pgt",
    "mem_section",
    "mem_map",
    "node_data",
    "node_online_map",
    "contig_page_data",
    "prb",
    "log_buf",
    "clear_seq",
)
_POINTERS = ("prb", "log_buf", "mem_section", "mem_map", "node_data")
_PIECES_MAX = 16
# What only the kernel's own table of symbols names.
_OWN = ("init_task", "vm_node_stat", "__per_cpu_offset")


class MustStay:
    """The pages that must stay, as far as they are in `keep`; remembers what they are taken for."""

    def __init__(self, known: KnownKernel, words: OwnWords, keep: Bitmap) -> None:
        shift = known.kernel.dump.page_size.bit_length() - 1
        pfns = {paddr >> shift for paddr in _addresses(known, words)}
        self.pfns: Sequence[int] = sorted(pfn for pfn in pfns if keep[pfn])
        self.taken: dict[int, Kind] = {}

    def see(self, pages: Pages, kinds: bytearray) -> None:
        """Looks at the kind that each page of a chunk was given."""
        at = bisect_left(self.pfns, pages.pfn)
        while at < len(self.pfns) and (pfn := self.pfns[at]) < pages.pfn + pages.count:
            if kinds[pfn - pages.pfn]:
                self.taken[pfn] = Kind(kinds[pfn - pages.pfn])
            at += 1

    def left_out(self, keep: Bitmap) -> list[int]:
        """Those that are not in `keep` any more."""
        return [pfn for pfn in self.pfns if not keep[pfn]]


def _addresses(known: KnownKernel, words: OwnWords) -> Iterator[int]:
    """Physical addresses: of what the kernel names, what that points to, and the page tables on the way."""
    kernel = known.kernel
    for vaddr in (*_virtual_addresses(known), *_own_addresses(words)):
        tables: list[int] = []

        def see(step: Step, tables: list[int] = tables) -> None:
            tables.append(step.entry_paddr)

        try:
            yield kernel.trace(vaddr, see)
        except MdfError:
            continue
        yield from tables


def _virtual_addresses(known: KnownKernel) -> Iterator[int]:
    kernel = known.kernel
    for name in _SYMBOLS:
        address = kernel.info.symbol(name)
        if address is None:
            continue
        yield address
        if name in _POINTERS:
            try:
                yield kernel.read_pointer(address)
            except MdfError:
                continue
    every = max(len(known.pieces) // _PIECES_MAX, 1)
    yield from (piece.address for piece in known.pieces[::every])


def _own_addresses(words: OwnWords) -> Iterator[int]:
    """Of the kernel's own variables, and of the area of its first processor, which is there on every machine."""
    yield from (address for name in _OWN if (address := words.address(name)) is not None)
    first, offset = words.address("__per_cpu_start"), words.value("__per_cpu_offset")
    if first is not None and offset is not None:
        yield first + offset & (1 << words.kernel.dump.bits) - 1
