# SPDX-License-Identifier: GPL-2.0-or-later
"""The domains of a Xen host: domain 0, those of users, and the pseudo domains that own what is nobody's."""

from __future__ import annotations

from dataclasses import dataclass

from mdf.core.errors import AddressError, FormatError
from mdf.xen.hypervisor import Hypervisor

WRONG_SYMBOLS = "Are the hypervisor's symbols those of the crashed one?"
_DOMAINS_MAX = 1 << 15  # DOMID_FIRST_RESERVED is 0x7ff0.


@dataclass(frozen=True)
class Domain:
    """A struct domain: its address, and the number of the domain (dom_io has 0x7ff1, dom_xen 0x7ff2)."""

    address: int
    domain_id: int


def domains(hypervisor: Hypervisor) -> list[Domain]:
    """All domains in the order of the hypervisor's list, then dom_xen and dom_io.

    Raises AddressError if the list cannot be read, FormatError if it has no end, MissingInfoError.
    """
    next_in_list, found = hypervisor.offset("domain.next_in_list"), []
    seen: set[int] = set()
    address = _pointer(hypervisor, "domain_list")
    while address:
        if address in seen or len(seen) >= _DOMAINS_MAX:
            raise FormatError(
                f"The hypervisor's list of domains has no end: {address:#x} comes twice, or it is too long."
            )
        seen.add(address)
        found.append(_domain(hypervisor, address, "a domain"))
        address = hypervisor.read_pointer(address + next_in_list)
    return found + [_domain(hypervisor, _pointer(hypervisor, name), name) for name in ("dom_xen", "dom_io")]


def _pointer(hypervisor: Hypervisor, name: str) -> int:
    try:
        return hypervisor.read_pointer(hypervisor.symbol(name))
    except AddressError as error:
        raise _wrong(f"Can't get the value of {name}", error) from error


def _domain(hypervisor: Hypervisor, address: int, what: str) -> Domain:
    try:
        # domid_t has 16 bits.
        return Domain(address, hypervisor.read_uint(address + hypervisor.offset("domain.domain_id"), 2))
    except AddressError as error:
        raise _wrong(f"Can't get the value of {what} domain_id", error) from error


def _wrong(text: str, error: AddressError) -> AddressError:
    return AddressError(f"{text}: {error}", hint=WRONG_SYMBOLS)
