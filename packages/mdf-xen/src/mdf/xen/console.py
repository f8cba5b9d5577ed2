# SPDX-License-Identifier: GPL-2.0-or-later
"""The hypervisor's log: a ring of bytes, which is not exported and so needs the symbols of xen-syms."""

from __future__ import annotations

from pathlib import Path

from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.xen.domains import WRONG_SYMBOLS
from mdf.xen.hypervisor import Hypervisor

_SIZE_MAX = 1 << 30
_SYMBOLS = ("conring", "conring_size", "conringp")


def console_symbols(xen_syms: Path) -> Vmcoreinfo:
    """Where the ring is. Raises InputError, FormatError, and MissingInfoError for a file without the symbols."""
    from mdf.core.debuginfo.vmlinux import Vmlinux

    with Vmlinux(xen_syms) as vmlinux:
        found = vmlinux.symbols(_SYMBOLS)
    missing = [name for name in _SYMBOLS if name not in found]
    if missing:
        raise MissingInfoError(f"{xen_syms} has no symbol {' and no '.join(missing)}.")
    return Vmcoreinfo({f"SYMBOL({name})": f"{found[name].address:x}" for name in _SYMBOLS}, source=str(xen_syms))


def read_console(hypervisor: Hypervisor, symbols: Vmcoreinfo) -> bytes:
    """The text that is in the ring, oldest first. Raises AddressError, FormatError."""
    ring, size_at, produced_at = (symbols.symbol(name) or 0 for name in _SYMBOLS)
    size, produced = hypervisor.read_uint(size_at, 4), hypervisor.read_uint(produced_at, 4)
    if not 0 < size <= _SIZE_MAX or size & size - 1:
        raise FormatError(
            f"Impossible size of the hypervisor's console ring: {size:#x}.",
            hint=WRONG_SYMBOLS,
        )
    data = hypervisor.read(hypervisor.read_pointer(ring), size)
    end = produced & size - 1
    # Nothing is lost yet if the ring was never full.
    return data[end:] + data[:end] if produced > size else data[:produced]
