# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses in real kernels' memory are where a second, plain walker finds them; what it does not find is unmapped."""

from __future__ import annotations

import random

import pytest

from corpus import corpus_items, vmcore
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError
from mdf.core.kernel import Kernel
from mdf.core.kernel.mem_map import mem_map
from oracle.image import open_image

pytestmark = pytest.mark.usefixtures("supported")
ADDRESSES = 20_000
AROUND_SYMBOLS = 1 << 22


@pytest.mark.parametrize("item", corpus_items())
def test_struct_pages_and_what_is_around_symbols_are_where_another_walker_finds_them(item: str) -> None:
    chance, image, mapped = random.Random(item), open_image(vmcore(item)), 0
    with open_dump(vmcore(item)) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        pieces, size = mem_map(kernel, dump.max_mapnr), dump.info.size("page") or 0
        symbols = [dump.info.symbol(key[7:-1]) or 0 for key in dump.info.values if key.startswith("SYMBOL(")]
        for _ in range(ADDRESSES):
            if chance.random() < 0.6:
                piece = chance.choice(pieces)
                vaddr = piece.address + chance.randrange((piece.pfn_end - piece.pfn_start) * size)
            else:
                vaddr = chance.choice(symbols) + chance.randrange(-AROUND_SYMBOLS, AROUND_SYMBOLS)
            vaddr &= (1 << dump.bits) - 1
            try:
                expected = image.translate(vaddr)
            except LookupError:
                with pytest.raises(AddressError):
                    kernel.machine.translate(vaddr)
            else:
                assert kernel.machine.translate(vaddr).paddr == expected, hex(vaddr)
                mapped += 1
    assert mapped > ADDRESSES // 2
