# SPDX-License-Identifier: GPL-2.0-or-later
"""Fills a machine with a random mix of everything its kernel can have."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from factory.build import build
from factory.generation import Generation
from factory.kinds import (
    Anon,
    Cache,
    Content,
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
    Placement,
    Slab,
    SwapCache,
    Thp,
    Unaccepted,
)
from factory.spec import Spec

Maker = Callable[[random.Random, Content], Kind]

# kind, how often; a kernel that lacks it raises ValueError in the encoder, so it is asked for by `_available`
MIX: tuple[tuple[int, Maker], ...] = (
    (6, lambda r, c: Kernel(content=c, reserved=r.random() < 0.3)),
    (2, lambda r, c: Kernel(content=c, order=r.choice((1, 2, 3)))),
    (2, lambda r, c: PageTable(content=c)),
    (5, lambda r, c: Slab(content=c, order=r.choice((0, 0, 1, 2, 3)))),
    (1, lambda r, c: Movable(content=c)),
    (1, lambda r, c: OwnerPrivate(content=c)),
    (1, lambda r, c: PcpFree(content=c)),
    (
        8,
        lambda r, c: Free(
            content=c, order=r.choice((0, 0, 0, 1, 1, 2, 3, 4, 5, 7, 9, 10)), migrate_type=r.randrange(5)
        ),
    ),
    (8, lambda r, c: Cache(content=c, private=r.random() < 0.3)),
    (8, lambda r, c: Anon(content=c, private=r.random() < 0.1)),
    (1, lambda r, c: Ksm(content=c)),
    (2, lambda r, c: SwapCache(content=c, anon=r.random() < 0.6, private=r.random() < 0.3)),
    (1, lambda r, c: Thp(content=c, order=r.choice((2, 4, 9)))),
    (1, lambda r, c: Hugetlb(content=c, order=r.choice((4, 9)), anon=r.random() < 0.3)),
    (1, lambda r, c: LargeFolio(content=c, order=r.choice((2, 4, 6)), private=r.random() < 0.3)),
    (1, lambda r, c: Hwpoison(content=c)),
    (1, lambda r, c: Offline(content=c)),
    (1, lambda r, c: Unaccepted(content=c)),
    (1, lambda r, c: Slab(content=c, odd_mapping=True)),
)
CONTENTS = (Content.NUMBER, Content.NUMBER, Content.TEXT, Content.RANDOM, Content.ZERO, Content.ZERO, Content.CONSTANT)


def _available(kind: Kind, generation: Generation) -> bool:
    """Whether a kernel of this generation has such pages."""
    flags, types, release = generation.flags, generation.types, generation.release
    if isinstance(kind, Hwpoison):
        return flags.hwpoison is not None
    if isinstance(kind, Offline):
        return types.offline is not None
    if isinstance(kind, Unaccepted):
        return types.unaccepted is not None
    if isinstance(kind, Slab):
        return release >= (6, 2, 0) or not kind.odd_mapping
    if isinstance(kind, Thp | Ksm):
        return release >= (2, 6, 38)
    if isinstance(kind, LargeFolio):
        return release >= (5, 18, 0)
    if isinstance(kind, OwnerPrivate):
        return release >= (4, 10, 0)
    return True


def random_layout(spec: Spec, seed: int = 0, density: float = 0.9) -> Spec:
    """`spec` with most of its unused whole page frames declared at random, the same ones for the same seed."""
    source = random.Random(seed)
    vmcore = build(replace(spec, pages=()))
    unused = set(vmcore.machine.memory.free)
    unused.update(pfn for pfn in vmcore.ram_pfns if pfn * spec.page_size < 2 * 1024 * 1024)
    unused -= vmcore.kernel_pfns
    weights = [weight for weight, _ in MIX]
    makers = [maker for _, maker in MIX]
    pages: list[Placement] = []
    for pfn in sorted(unused):
        if pfn not in unused or source.random() > density:
            continue
        maker = source.choices(makers, weights)[0]
        kind = maker(source, source.choice(CONTENTS))
        placement = Placement(pfn, kind)
        fits = pfn % (1 << kind.order) == 0 and unused.issuperset(placement.pfns)
        if not fits or not _available(kind, spec.generation):
            continue
        unused.difference_update(placement.pfns)
        pages.append(placement)
    return replace(spec, pages=tuple(pages))
