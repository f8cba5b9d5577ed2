# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's counters of its pages: vm_zone_stat and vm_node_stat (mm/vmstat.c), hugetlb's pools, poisoned pages.

The order of the counters is that of two enumerations, which change with each release: the kernel's own types tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from mdf.capture.selfcheck.own_words import OwnWords
from mdf.core.errors import MdfError
from mdf.core.formats.elf import prefix

_COUNTERS = {"vm_zone_stat": "zone_stat_item", "vm_node_stat": "node_stat_item"}
# More than any kernel has.
_ITEMS_MAX, _POOLS_MAX, _ORDER_MAX, _CPUS_MAX, _NODES_MAX = 1 << 10, 16, 32, 1 << 14, 1 << 10
# mm/vmstat.c, calculate_normal_threshold(): a processor keeps its own part of a counter up to a threshold of at most
# this, which grows with processors and with memory in units of 128 MiB.
_THRESHOLD_MAX, _THRESHOLD_UNIT = 125, 27
# Lists on which a processor collects pages that are about to go onto an LRU list or off it, and pages on each
# (include/linux/pagevec.h; 15 before 6.10).
_BATCHES, _BATCH = 6, 31


@dataclass(frozen=True)
class VmStat:
    """The counters, in pages; those that the kernel does not have, or that could not be read, are not there.

    `hugetlb` are the pages of its pools, by order. `lag` is how many pages of any class all processors together may
    have taken without having told the counters, or without having put them onto their list.
    """

    items: Mapping[str, int]
    hugetlb: Mapping[int, int] | None
    poisoned: int | None
    managed: int | None
    lag: int

    @classmethod
    def of(cls, words: OwnWords) -> VmStat:
        """The counters of a kernel."""
        items: dict[str, int] = {}
        for symbol, enumeration in _COUNTERS.items():
            items |= _items(words, symbol, words.constants(enumeration))
        managed = words.value("_totalram_pages")
        return cls(items, _pools(words), words.value("num_poisoned_pages"), managed, _lag(words, managed or 0))

    def sum(self, *names: str) -> int | None:
        """The sum of some counters, None without one of them."""
        values = [self.items.get(name) for name in names]
        known = [max(value, 0) for value in values if value is not None]
        return sum(known) if len(known) == len(names) else None


def _items(words: OwnWords, symbol: str, numbers: Mapping[str, int]) -> dict[str, int]:
    names = {name: number for name, number in numbers.items() if number < _ITEMS_MAX and not name.startswith("NR_VM_")}
    address, kernel = words.address(symbol), words.kernel
    if address is None or not names:
        return {}
    count = max(names.values()) + 1
    layout = Struct(f"{prefix(kernel.byteorder)}{count}{'q' if kernel.dump.bits == 64 else 'i'}")
    try:
        values = layout.unpack(kernel.read(address, layout.size))
    except MdfError:
        return {}
    return {name: values[number] for name, number in names.items()}


def _pools(words: OwnWords) -> dict[int, int] | None:
    """Pages of each order in hugetlb's pools; None if they can't be read. A kernel may have no pools at all."""
    kernel, shape, address = words.kernel, words.structure("hstate"), words.address("hstates")
    if address is None and words.address("vm_node_stat") is not None:
        return {}
    count = words.value("hugetlb_max_hstate", 4)
    if shape is None or address is None or count is None or count > _POOLS_MAX:
        return None
    pools: dict[int, int] = {}
    try:
        for pool in range(address, address + count * shape.size, shape.size or 1):
            order = kernel.read_uint(pool + shape.members["order"].offset, 4)
            if order > _ORDER_MAX:
                return None
            pools[order] = kernel.read_pointer(pool + shape.members["nr_huge_pages"].offset)
    except (MdfError, KeyError):
        return None
    return pools


def _lag(words: OwnWords, pages: int) -> int:
    cpus = words.value("nr_cpu_ids", 4)
    if not cpus or cpus > _CPUS_MAX:
        cpus = max(words.kernel.dump.nr_cpus, 1)
    nodes = min(words.value("nr_online_nodes", 4) or 1, _NODES_MAX)
    units = pages * words.kernel.dump.page_size >> _THRESHOLD_UNIT
    threshold = min(2 * cpus.bit_length() * (1 + units.bit_length()), _THRESHOLD_MAX)
    return cpus * (threshold * nodes + _BATCHES * _BATCH)
