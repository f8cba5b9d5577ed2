# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what we make of a guest's memory with what its kernel said just before: its log, and every page."""

from __future__ import annotations

import re
import struct
from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from guests.core import system_ram
from guests.run import Result
from mdf.capture import Options, capture
from mdf.core.bitmap import Place
from mdf.core.dumps import open_dump
from mdf.core.kernel import mem_map, open_kernel
from mdf.core.messages import Messages
from mdf.dmesg import read_log

# Bits of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h).
_LRU, _SLAB, _BUDDY, _ANON, _SWAPCACHE, _HUGE, _NOPAGE = 5, 7, 10, 12, 13, 17, 20
# The dump level that leaves out the pages of a class, and the share of all pages that may have changed meanwhile.
_CLASSES = ("free", "user", "cache", "kernel")
_LEVEL = {"free": 16, "user": 8, "cache": 4}
_CHANGED = 0.005


def check(result: Result) -> bool:
    """Prints the comparison; whether we agree with the guest."""
    log = _check_log(result)
    pages = _check_pages(result)
    print(f"{result.name}: {'the same' if log and pages else 'DIFFERENT'}", flush=True)
    return log and pages


def _check_log(result: Result) -> bool:
    """The guest's own log is the beginning of ours: only what came afterwards is more."""
    raw = (result.files / "dmesg").read_bytes()
    guest = [_text(line) for line in raw.splitlines() if re.match(rb"<\d+>", line)]
    with open_dump(result.vmcore) as dump:
        kernel = open_kernel(dump, Messages(0))
        assert kernel is not None
        ours = [line.strip() for record in read_log(kernel) for line in record.text.split(b"\n")]
    same = ours[: len(guest)] == guest
    more = len(ours) - len(guest)
    print(f"{result.name}: {len(guest)} lines of kernel log are {'all' if same else 'NOT'} the same; {more} more")
    return same


def _text(line: bytes) -> bytes:
    """The text of a line of syslog(2), without level, time and caller."""
    return re.sub(rb"^<\d+>(\[ *[\d.]+\] ?)?(\[ *[TC]\d+\] ?)?", b"", line).strip()


def _check_pages(result: Result) -> bool:
    flags = array("Q", (result.files / "kpageflags").read_bytes())
    table: Counter[tuple[str, str]] = Counter()
    ours: dict[int, str] = {}
    for name, level in _LEVEL.items():
        dumpfile = result.vmcore.with_name("dump")
        capture(Options(result.vmcore, dumpfile, dump_levels=(level,), force=True))
        with open_dump(dumpfile) as dump:
            first = dump.first_paddr // dump.page_size
            present = dump.present(dump.max_mapnr, Place(), partial_tail=True)
            stored = dump.stored(present)
            for start, end in present.runs():
                kept = {pfn for run in stored.runs(start, end) for pfn in range(*run)}
                for pfn in range(start, end):
                    if pfn not in kept:
                        ours.setdefault(pfn + first, name)
            page_size = dump.page_size
        dumpfile.unlink()
    idle, unused = _unused(result.vmcore), 0
    for pfn in _memory(result.files, page_size):
        if pfn < len(flags) and not flags[pfn] >> _NOPAGE & 1:
            theirs, mine = _class(flags[pfn]), ours.get(pfn, "kernel")
            if (theirs, mine) == ("free", "kernel") and pfn in idle:
                unused += 1
            else:
                table[theirs, mine] += 1
    print(f"{result.name}: pages, by the guest's word (lines) and by ours (columns)")
    print(f"{'':>10}" + "".join(f"{name:>10}" for name in _CLASSES))
    for name in _CLASSES:
        print(f"{name:>10}" + "".join(f"{table[name, other]:>10}" for other in _CLASSES))
    total = sum(table.values())
    changed = sum(count for (theirs, other), count in table.items() if theirs != other)
    print(
        f"{result.name}: {total} pages; {unused} free ones went to the lists of single CPUs, {changed} others changed"
    )
    return bool(total) and changed <= total * _CHANGED


def _unused(vmcore: Path) -> set[int]:
    """Page frames that nobody has a reference to: free, though not always in a free block."""
    with open_dump(vmcore) as dump:
        kernel = open_kernel(dump, Messages(0))
        assert kernel is not None
        size, offset = kernel.info.size("page") or 0, kernel.info.offset("page._refcount") or 0
        refcount = struct.Struct(f"{offset}xi{size - offset - 4}x")
        first = dump.first_paddr // dump.page_size
        unused: set[int] = set()
        for piece in mem_map(kernel, dump.max_mapnr):
            pages = kernel.read(piece.address, size * (piece.pfn_end - piece.pfn_start))
            counts = enumerate(refcount.iter_unpack(pages), first + piece.pfn_start)
            unused.update(pfn for pfn, (count,) in counts if count == 0)
        return unused


def _memory(files: Path, page_size: int) -> Iterator[int]:
    for start, end in system_ram((files / "iomem").read_text()):
        yield from range(-(-start // page_size), end // page_size)


def _class(flags: int) -> str:
    """The class of a page by its flags, in the order of the filter's rules."""

    def has(bit: int) -> bool:
        return bool(flags >> bit & 1)

    if has(_BUDDY):
        return "free"
    if has(_SLAB):  # What a slab keeps where page.mapping is shows as anonymous here and there.
        return "kernel"
    if has(_HUGE) or has(_ANON):
        return "user"
    if has(_LRU) or has(_SWAPCACHE):
        return "cache"
    return "kernel"
