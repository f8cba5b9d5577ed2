# SPDX-License-Identifier: GPL-2.0-or-later
"""Which pages a dump of level 31 has: by the rules, by the reference, and by what the kernel said of them itself."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterator, Set
from functools import cached_property
from pathlib import Path

from captures import DumpFile, pfns_of
from guests.agreement import agreement, own_class, own_flags
from guests.kdump.statement import Check
from oracle import filter_pages
from oracle.image import Image

_COMPOUND_INFO = b"\nOFFSET(page.compound_info)="


class Pages:
    """The pages to keep of a raw vmcore, and those of them that the reference loses in its dump `expected`.

    Since 7.1 the link of a tail to its head is called compound_info: releases of the reference up to 1.7.9 don't know
    it and see no tails. Where `mapping` is in other pages, the first tail of the kernel's own compound pages has -1
    (folio._entire_mapcount), so it passes for a page of a process, and is left out.
    """

    def __init__(self, vmcore: Path, expected: Path) -> None:
        self.vmcore = vmcore
        self._expected = DumpFile(expected)

    @cached_property
    def kept(self) -> Set[int]:
        """What the rules keep."""
        return self._by_rules()

    @cached_property
    def lost(self) -> Set[int]:
        """What the reference has not of it."""
        return self.kept - set(self._expected.pfns)

    def same(self, path: Path, *, refiltered: bool = False) -> bool:
        """Whether a dump has these pages, those of the reference with the contents that they have there.

        The others have those of the raw vmcore. A dump that the reference has `refiltered` lacks them too.
        """
        dump, lost = DumpFile(path), self.lost
        with self.vmcore.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            memory, size = Image(data), dump.main["block_size"]
            return (
                set(dump.pfns) == set(self._expected.pfns) | (set() if refiltered else lost)
                and dump.bitmap1 == self._expected.bitmap1
                and dump.utsname == self._expected.utsname
                and all(dump.page(pfn) == self._expected.page(pfn) for pfn in self._expected.pfns)
                and (refiltered or all(dump.page(pfn) == memory.page(pfn * size, size) for pfn in lost))
            )

    def reference(self) -> Iterator[Check]:
        """Checks of the reference's pages: all that the rules keep, or all but those it takes for a process's."""
        if not self.lost:
            yield Check("the reference has the pages that the rules keep", set(self._expected.pfns) == self.kept)
            return
        seen = self._by_rules(without=_COMPOUND_INFO)
        yield Check(
            f"the reference lacks {len(self.lost)} pages, those that the rules lose without compound_info",
            set(self._expected.pfns) == seen < self.kept,
        )

    def kernel(self, files: Path) -> Iterator[Check]:
        """Checks against the kernel's own word, `kpageflags` and `iomem` in `files`, written just before the crash."""
        found = agreement(self.vmcore, files)
        yield Check(f"pages as the kernel called them: {found}", found.holds)
        if self.lost:
            flags = own_flags(files)
            called = Counter(own_class(flags[pfn]) for pfn in self.lost)
            yield Check(
                "the kernel called the pages that the reference lacks its own",
                set(called) <= {"kernel", "free"},
                str(called),
            )

    def _by_rules(self, without: bytes = b"") -> Set[int]:
        """What the rules keep; with another name for the line `without` of VMCOREINFO."""
        with self.vmcore.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as data:
            if without:
                at = data.find(without)
                data[at + 1 : at + len(without)] = b"_" * (len(without) - 2) + b"="
            return frozenset(pfns_of(filter_pages(Image(data), 31)[1]))
