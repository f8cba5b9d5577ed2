# SPDX-License-Identifier: GPL-2.0-or-later
"""Domain 0: its kernel, and the pages that a dump level leaves out of it.

The filter works on domain 0's own page frames; what it leaves out is then left out of the machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mdf.capture.layout import page_layout
from mdf.capture.page_filter import KnownKernel
from mdf.capture.rules import Kind
from mdf.capture.selection import exclude
from mdf.capture.survey import Survey
from mdf.core.arch import Architecture, x86_64
from mdf.core.bitmap import CHUNK, Bitmap
from mdf.core.dumps import Dump
from mdf.core.errors import AddressError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import Kernel, mem_map, open_kernel
from mdf.core.messages import Messages
from mdf.xen.crash_info import CrashInfo
from mdf.xen.p2m import P2m

_INVERTED = bytes.maketrans(b"\x00\x01", b"\x01\x00")


def dom0_architectures(p2m: P2m) -> Mapping[str, Architecture]:
    """Machines as a kernel on top of Xen sees them: where its top page table is, is a page frame of its own.

    What the tables have are the machine's.
    """

    def machine(dump: Dump, info: Vmcoreinfo) -> x86_64.X86_64:
        plain = x86_64.machine(dump, info)
        return replace(plain, walker=plain.walker.at(p2m.machine_address(plain.walker.root)))

    return {"x86_64": Architecture(machine, x86_64.phys_base)}


@dataclass(frozen=True)
class Dom0:
    """Domain 0's kernel, and `size`, the number of its page frames."""

    known: KnownKernel
    p2m: P2m
    size: int


def open_dom0_kernel(dump: Dump, messages: Messages, given: Vmcoreinfo | None) -> tuple[Kernel, P2m] | None:
    """Domain 0's kernel; None if nothing says anything of it. Raises what `open_kernel` and `P2m` raise."""
    if dump.info is None and given is None:
        return None
    p2m = P2m(dump, CrashInfo.of(dump).frame_list_list)
    kernel = open_kernel(dump, messages, dom0_architectures(p2m), given)
    return (kernel, p2m) if kernel else None


def open_dom0(dump: Dump, messages: Messages, given: Vmcoreinfo | None) -> Dom0 | None:
    """The same, with what the filter needs to know of it."""
    opened = open_dom0_kernel(dump, messages, given)
    if opened is None:
        return None
    kernel, p2m = opened
    size = min(_max_pfn(kernel) or p2m.size, p2m.size)
    messages.debug(f"domain-0 pfn : {size:x}")
    layout = page_layout(kernel.info, kernel.release, dump.byteorder, dump.bits // 8)
    return Dom0(KnownKernel(kernel, mem_map(kernel, size), layout, p2m.data_column), p2m, size)


def _max_pfn(kernel: Kernel) -> int:
    """Linux's own count of page frames; 0 if it does not say."""
    address = kernel.info.symbol("max_pfn")
    try:
        return 0 if address is None else kernel.read_pointer(address)
    except AddressError:
        return 0


def exclude_from_dom0(seen: Survey, dom0: Dom0, level: int, keep: Bitmap, messages: Messages) -> dict[Kind, int]:
    """Clears in `keep`, a bitmap of the machine, what a dump level leaves out of domain 0; counts it by kind."""
    own = Bitmap(dom0.size, keep.place)
    for piece in dom0.known.pieces:
        own.set_range(piece.pfn_start, piece.pfn_end)
    # A survey of domain 0 alone: its pages, in its own numbers.
    counters = exclude(replace(seen, known=dom0.known, present=own), level, own, messages)
    for piece in dom0.known.pieces:
        for start in range(piece.pfn_start & ~7, piece.pfn_end, CHUNK):
            left_out = own.column(start, min(start + CHUNK, piece.pfn_end)).translate(_INVERTED)
            if start < piece.pfn_start:
                left_out = left_out[piece.pfn_start - start :]
            dom0.p2m.clear(keep, max(start, piece.pfn_start), left_out)
    return counters


def open_kernel_of_dom0(dump: Dump, messages: Messages, given: Vmcoreinfo | None) -> Kernel | None:
    """The kernel to read the log of: domain 0's, or that of a dump without Xen."""
    if not dump.xen:
        return open_kernel(dump, messages, given=given)
    opened = open_dom0_kernel(dump, messages, given)
    return opened[0] if opened else None
