# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashed kernel's own types, the BTF in its memory: its table of symbols says where."""

from __future__ import annotations

from mdf.core.debuginfo.btf_search import BtfSearch
from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.kernel.kernel import Kernel
from mdf.core.kernel.own_symbols import OwnSymbols

# Several times what the largest kernels have.
_SIZE_MAX = 1 << 25


def own_types(kernel: Kernel, symbols: OwnSymbols) -> BtfSearch:
    """The types of a kernel. Raises MissingInfoError for one without, FormatError, AddressError."""
    start, stop = symbols.address("__start_BTF"), symbols.address("__stop_BTF")
    if start is None or stop is None:
        raise MissingInfoError("The kernel has no BTF.")
    if not 0 < stop - start <= _SIZE_MAX:
        raise FormatError(f"BTF: impossible size: from {start:#x} to {stop:#x}")
    return BtfSearch(kernel.read(start, stop - start))
