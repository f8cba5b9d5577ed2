# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory nodes: which are online, and where their pglist_data are."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.kernel.kernel import Kernel

_NODES_MAX = 1 << 10


def online_nodes(kernel: Kernel) -> int:
    """The number of online nodes; 1 for a kernel without a map of them."""
    info = kernel.info
    size = info.size("nodemask_t")
    address = info.symbol("node_online_map")
    if address is None:
        states, online = info.symbol("node_states"), info.number("N_ONLINE")
        if states is not None and online is not None and size is not None:
            address = states + size * online
    if address is None:
        return 1
    if size is None or size > _NODES_MAX // 8:
        raise FormatError(f"Impossible size of nodemask_t: {size}.")
    return int.from_bytes(kernel.read(address, size), kernel.byteorder).bit_count()


def pgdat_addresses(kernel: Kernel, count: int) -> Iterator[int]:
    """The address of each node's pglist_data, of `count` nodes. Raises FormatError for one that two nodes have."""
    address, seen = 0, set[int]()
    for node in range(count):
        address = _pgdat(kernel, node, address)
        if not address or address in seen:
            raise FormatError(f"Can't get the pglist_data of node {node}.")
        seen.add(address)
        yield address


def _pgdat(kernel: Kernel, node: int, before: int) -> int:
    """The address of a node's pglist_data; `before` is that of the node before."""
    info, long = kernel.info, kernel.dump.bits // 8
    node_data, pgdat_list = info.symbol("node_data"), info.symbol("pgdat_list")
    if node_data is not None and info.length("node_data") is not None:
        address = kernel.read_pointer(node_data + node * long)
        if kernel.is_kernel_address(address):
            return address
    if pgdat_list is not None:
        length = info.length("pgdat_list")
        if node == 0 or (length is not None and length >= node):
            return kernel.read_pointer(pgdat_list + node * long)
        following = info.offset("pglist_data.pgdat_next")
        if following is not None:
            return kernel.read_pointer(before + following)
    contiguous = info.symbol("contig_page_data")
    if contiguous is not None and node == 0:
        return contiguous
    raise MissingInfoError(f"Can't get the address of node {node}: no node_data, pgdat_list or contig_page_data.")
