# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own account of its free pages: every zone counts the free blocks of each order.

Blocks are counted under the zone's lock, so the account is exact but for what a processor was doing as the machine
stopped. (vm_stat[NR_FREE_PAGES] lags behind by what each processor has not added yet.)
"""

from __future__ import annotations

from mdf.capture.free_lists import FreeAreas, zones
from mdf.core.errors import MdfError
from mdf.core.kernel import Kernel


def free_pages(kernel: Kernel) -> int | None:
    """How many pages the buddy system counts; None where the kernel exports too little, or counts none.

    nr_free is the last member of struct free_area, in all versions.
    """
    long = kernel.dump.bits // 8
    try:
        areas = FreeAreas.of(kernel)
        count = 0
        for zone in zones(kernel, areas):
            table = kernel.read(zone + areas.free_area, areas.orders * areas.area_size)
            for order in range(areas.orders):
                end = (order + 1) * areas.area_size
                count += int.from_bytes(table[end - long : end], kernel.byteorder) << order
    except MdfError:
        return None
    return count or None
