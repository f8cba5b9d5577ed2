# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams a large x86_64 vmcore of a busy 6.1 kernel, for measuring speed: `python -m factory.large --gib 3 OUT`.

Struct pages, page tables and VMCOREINFO are as in the small ones. Contents come from pools: kernel data that deflate
halves, user data from text to noise, page tables, zeros. The same seed gives the same file.
"""

from __future__ import annotations

import argparse
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from factory.build import build
from factory.elf import ElfStyle, Segment, write_headers
from factory.grown import grown
from factory.kinds import Anon, Cache, Content, Free, Hugetlb, Kernel, Kind, PageTable, Slab, Thp
from factory.memory import content
from factory.spec import MIB, Ram, Spec
from factory.structpages import PageEncoder
from factory.vmcore import Vmcore

PAGE = 4096
GIB = 1 << 30
POOL_PAGES = 2048
FREE_ORDERS = (0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 8, 10, 10)


@dataclass(frozen=True)
class Row:
    """A class of pages: its share of memory, mean pages in a run, kinds, pool of contents, share of runs that are zero.

    `filler`: the kind, of order 0, of the pages up to the next place that a block of higher order can begin at.
    """

    share: float
    run: int
    kinds: tuple[Kind, ...]
    filler: Kind
    pool: str
    zero: float


MIX: tuple[Row, ...] = (
    Row(0.24, 150, tuple(Free(order=order) for order in FREE_ORDERS), Free(), "user", 0.35),
    Row(0.27, 24, (Cache(),), Cache(), "user", 0.02),
    Row(0.03, 8, (Cache(private=True),), Cache(private=True), "user", 0.02),
    Row(0.14, 16, (Anon(),), Anon(), "user", 0.06),
    Row(0.09, 770, (Thp(),), Anon(), "user", 0.10),
    Row(0.02, 770, (Hugetlb(),), Anon(), "user", 0.50),
    Row(0.09, 24, (Slab(), Slab(order=1), Slab(order=2), Slab(order=3)), Slab(), "kernel", 0.01),
    Row(0.10, 12, (Kernel(), Kernel(), Kernel(reserved=True), Kernel(order=2)), Kernel(), "kernel", 0.10),
    Row(0.02, 4, (PageTable(),), PageTable(), "tables", 0.05),
)


@dataclass(frozen=True)
class Run:
    """`count` blocks of one kind from `pfn` on, and the pool their pages are copied from."""

    pfn: int
    count: int
    kind: Kind
    pool: str

    @property
    def pages(self) -> int:
        """Page frames covered."""
        return self.count << self.kind.order


def pools(source: random.Random) -> dict[str, memoryview]:
    """Pages to copy from, by name."""
    user = [Content.TEXT, Content.TEXT, Content.RANDOM, Content.NUMBER]
    return {
        "zero": memoryview(bytes(POOL_PAGES * PAGE)),
        "kernel": memoryview(b"".join(_kernel_page(source) for _ in range(POOL_PAGES))),
        "user": memoryview(b"".join(content(source.choice(user), pfn, PAGE) for pfn in range(POOL_PAGES))),
        "tables": memoryview(b"".join(_table_page(source) for _ in range(POOL_PAGES))),
    }


def _kernel_page(source: random.Random) -> bytes:
    """Objects of one size: pointers into the direct map, noise, counters, zeros, and what all have in common."""
    size = source.choice((32, 64, 64, 128, 192, 256))
    near = source.getrandbits(14) << 22
    common = source.randbytes(size)
    out = bytearray()
    while len(out) < PAGE:
        word = bytearray(common)
        for at in range(0, size, 8):
            draw = source.random()
            if draw < 0.27:
                word[at : at + 8] = (0xFFFF888000000000 + near + (source.getrandbits(19) << 3)).to_bytes(8, "little")
            elif draw < 0.37:
                word[at : at + 8] = source.randbytes(8)
            elif draw < 0.55:
                word[at : at + 8] = source.getrandbits(10).to_bytes(8, "little")
            elif draw < 0.8:
                word[at : at + 8] = bytes(8)
        out += word
    return bytes(out[:PAGE])


def _table_page(source: random.Random) -> bytes:
    used = source.randrange(8, 200)
    start = source.randrange(512 - used)
    entries = [source.getrandbits(20) << 12 | 0x867 for _ in range(used)]
    return (
        bytes(8 * start) + b"".join(entry.to_bytes(8, "little") for entry in entries) + bytes(8 * (512 - start - used))
    )


def runs(source: random.Random, gaps: Sequence[tuple[int, int]]) -> Iterator[Run]:
    """Fill the page frame ranges `gaps` with runs, blocks aligned to their order."""
    weights = [row.share / row.run for row in MIX]
    for start, end in gaps:
        pfn = start
        while pfn < end:
            row = source.choices(MIX, weights)[0]
            kind = source.choice(row.kinds)
            pool = "zero" if source.random() < row.zero else row.pool
            block = 1 << kind.order
            skip = min(-pfn % block, end - pfn)
            if skip:
                yield Run(pfn, skip, row.filler, pool)
                pfn += skip
            is_single = isinstance(kind, Free | Thp | Hugetlb)
            wanted = 1 if is_single else max(1, int(source.expovariate(1 / row.run)) // block)
            count = min(wanted, (end - pfn) // block)
            if count:
                yield Run(pfn, count, kind, pool)
                pfn += count * block
            elif pfn < end:
                yield Run(pfn, end - pfn, row.filler, pool)
                pfn = end


def machine(gib: float) -> Spec:
    """A machine with `gib` GiB of RAM, with the usual hole below 4 GiB when it has more than 3."""
    size = int(gib * GIB) // MIB * MIB
    low = min(size, 3 * GIB)
    ram: tuple[Ram, ...] = (Ram(0x1000, 0x9F000), Ram(MIB, low))
    if size > low:
        ram += (Ram(4 * GIB, 4 * GIB + size - low),)
    return Spec(release="6.1.0", ram=ram, direct_leaf="1G", kaslr=0x1F000000)


def _gaps(vmcore: Vmcore) -> list[tuple[int, int]]:
    """Ranges of RAM that hold nothing of the factory's own."""
    taken = sorted(vmcore.kernel_pfns)
    found = []
    for ram in vmcore.spec.ram:
        start, end = ram.start // PAGE, ram.end // PAGE
        for pfn in [*taken[bisect_left(taken, start) : bisect_left(taken, end)], end]:
            if pfn > start:
                found.append((start, pfn))
            start = pfn + 1
    return found


def write_large(path: Path, gib: float, seed: int = 1, repeat: int = 0) -> Path:
    """Write the vmcore to `path`, which is returned; with `repeat` GiB more of memory, of which nothing is stored."""
    source = random.Random(seed)
    vmcore = build(machine(gib))
    spec, mem_map = vmcore.spec, vmcore.mem_map
    top = max(4 * GIB, -(-spec.ram[-1].end // GIB) * GIB)
    whole = grown(vmcore, top, top + repeat * GIB) if repeat else vmcore
    encoder = PageEncoder(
        spec.generation, vmcore.machine.page, spec.word, spec.byteorder, vmcore.machine.image, mem_map.address
    )
    plan = list(runs(source, _gaps(vmcore)))
    for run in plan:
        size = 1 << run.kind.order
        if size == 1:
            mem_map.write(run.pfn, encoder.block(run.pfn, run.kind) * run.count)
        else:
            blocks = (encoder.block(run.pfn + index * size, run.kind) for index in range(run.count))
            mem_map.write(run.pfn, b"".join(blocks))
    data = pools(source)
    style = ElfStyle()
    with path.open("wb") as file:
        places = write_headers(whole, file, style, whole.notes()).places
        for run in plan:
            file.seek(_position(places, run.pfn))
            pool, left = data[run.pool], run.pages
            while left:
                first = source.randrange(POOL_PAGES)
                count = min(left, POOL_PAGES - first)
                file.write(pool[first * PAGE : (first + count) * PAGE])
                left -= count
        for pfn, page in vmcore.machine.memory.pages.items():
            file.seek(_position(places, pfn))
            file.write(page)
        image = vmcore.machine.memory.read(vmcore.machine.image_paddr, vmcore.machine.image_size)
        file.seek(places[0][0])
        file.write(image)
    return path


def _position(places: Sequence[tuple[int, Segment]], pfn: int) -> int:
    """Where RAM's page is in the file; the image, which is first, has its own copy."""
    paddr = pfn * PAGE
    return next(at + paddr - load.paddr for at, load in places[1:] if load.paddr <= paddr < load.paddr + load.filesz)


def main() -> None:
    """Write one large vmcore."""
    parser = argparse.ArgumentParser(prog="python -m factory.large", description="Writes a large x86_64 vmcore.")
    parser.add_argument("--gib", type=float, default=3, help="GiB of memory (default: 3)")
    parser.add_argument("--repeat", type=int, default=0, help="GiB of memory more, its struct pages those of the first")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same file (default: 1)")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file to write")
    options = parser.parse_args()
    write_large(options.out, options.gib, options.seed, options.repeat)


if __name__ == "__main__":
    main()
