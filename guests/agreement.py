# SPDX-License-Identifier: GPL-2.0-or-later
"""Page by page: what a guest's kernel said of its memory just before, against what we leave out of a dump of it."""

from __future__ import annotations

import struct
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from guests.core import system_ram
from mdf.capture import Options, capture
from mdf.core.bitmap import Place
from mdf.core.dumps import open_dump
from mdf.core.kernel import mem_map, open_kernel
from mdf.core.messages import Messages

# Bits of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h).
_LRU, _SLAB, _BUDDY, _ANON, _SWAPCACHE, _HUGE, _NOPAGE, _OFFLINE = 5, 7, 10, 12, 13, 17, 20, 23
CLASSES = ("free", "user", "cache", "kernel")
# The dump level that leaves out the pages of a class; pages that are logically offline go with the free ones.
_LEVEL = {"free": 16, "user": 8, "cache": 4}
# The share of all pages that may have changed meanwhile.
_CHANGED = 0.005


@dataclass
class Agreement:
    """How many pages are of which class by the guest's word and by ours: `table[theirs, ours]`.

    Those that differ are explained by their reference count in the vmcore: `freed` pages were in use and have none now
    (not all of them are in a free block: a CPU keeps some for itself), `allocated` ones were free and have one.
    `changed` are the rest: in use then and now, for another purpose.
    """

    table: Counter[tuple[str, str]] = field(default_factory=Counter)
    freed: int = 0
    allocated: int = 0
    changed: int = 0

    @property
    def total(self) -> int:
        return self.table.total()

    @property
    def holds(self) -> bool:
        """Whether no more pages differ than may have changed meanwhile."""
        return 0 < self.total <= self.same + self.total * _CHANGED

    @property
    def same(self) -> int:
        """Pages of which both say the same."""
        return sum(self.table[name, name] for name in CLASSES)

    def __str__(self) -> str:
        return (
            f"{self.total} pages, {self.same} the same; since then {self.freed} were freed,"
            f" {self.allocated} allocated, {self.changed} changed"
        )

    def lines(self) -> Iterator[str]:
        """The table, the guest's word in lines and ours in columns."""
        yield f"{'':>10}" + "".join(f"{name:>10}" for name in CLASSES)
        for theirs in CLASSES:
            yield f"{theirs:>10}" + "".join(f"{self.table[theirs, ours]:>10}" for ours in CLASSES)


def agreement(vmcore: Path, files: Path) -> Agreement:
    """Compares the dumps of a vmcore with the guest's own `kpageflags` and `iomem` in the folder `files`."""
    flags = own_flags(files)
    page_size, ours = _ours(vmcore)
    unused, found = _unused(vmcore), Agreement()
    for pfn in _memory(files, page_size):
        if pfn >= len(flags) or flags[pfn] >> _NOPAGE & 1:
            continue
        theirs, mine = own_class(flags[pfn]), ours.get(pfn, "kernel")
        idle = pfn in unused
        if (theirs, mine) == ("free", "kernel") and idle:
            mine = "free"  # It went to the list of a single CPU.
        found.table[theirs, mine] += 1
        if theirs != mine:
            found.freed += idle
            found.allocated += not idle and theirs == "free"
            found.changed += not idle and theirs != "free"
    return found


def _ours(vmcore: Path) -> tuple[int, dict[int, str]]:
    """The page size, and the class of each page that we leave out."""
    ours: dict[int, str] = {}
    page_size = 0
    with TemporaryDirectory() as folder:
        for name, level in _LEVEL.items():
            dumpfile = Path(folder, "dump")
            capture(Options(vmcore, dumpfile, dump_levels=(level,), force=True))
            with open_dump(dumpfile) as dump:
                first, page_size = dump.first_paddr // dump.page_size, dump.page_size
                present = dump.present(dump.max_mapnr, Place(), partial_tail=True)
                stored = dump.stored(present)
                for start, end in present.runs():
                    kept = {pfn for run in stored.runs(start, end) for pfn in range(*run)}
                    for pfn in range(start, end):
                        if pfn not in kept:
                            ours.setdefault(pfn + first, name)
    return page_size, ours


def _unused(vmcore: Path) -> set[int]:
    """Page frames that nobody has a reference to, but for the parts of larger pages: the head has those."""
    with open_dump(vmcore) as dump:
        kernel = open_kernel(dump, Messages(0))
        assert kernel is not None
        size, offset = kernel.info.size("page") or 0, kernel.info.offset("page._refcount") or 0
        head = kernel.info.offset("page.compound_head", "page.compound_info") or 0
        order = "<" if kernel.byteorder == "little" else ">"
        long = {32: ("I", 4), 64: ("Q", 8)}[dump.bits]
        refcount, link = struct.Struct(f"{order}i"), struct.Struct(order + long[0])
        first = dump.first_paddr // dump.page_size
        unused: set[int] = set()
        for piece in mem_map(kernel, dump.max_mapnr):
            pages = kernel.read(piece.address, size * (piece.pfn_end - piece.pfn_start))
            for pfn, at in enumerate(range(0, len(pages), size), first + piece.pfn_start):
                is_tail = head and link.unpack_from(pages, at + head)[0] & 1
                if not is_tail and refcount.unpack_from(pages, at + offset)[0] == 0:
                    unused.add(pfn)
        return unused


def _memory(files: Path, page_size: int) -> Iterator[int]:
    for start, end in system_ram((files / "iomem").read_text()):
        yield from range(-(-start // page_size), end // page_size)


def own_flags(files: Path) -> array[int]:
    """The kernel's own flags of each page: its `kpageflags` in the folder `files`."""
    return array("Q", (files / "kpageflags").read_bytes())


def own_class(flags: int) -> str:
    """The class of a page by the kernel's own flags, in the order of the filter's rules."""

    def has(bit: int) -> bool:
        return bool(flags >> bit & 1)

    if has(_BUDDY) or has(_OFFLINE):
        return "free"
    if has(_SLAB):  # What a slab keeps where page.mapping is shows as anonymous here and there.
        return "kernel"
    if has(_HUGE) or has(_ANON):
        return "user"
    if has(_LRU) or has(_SWAPCACHE):
        return "cache"
    return "kernel"
