# SPDX-License-Identifier: GPL-2.0-or-later
"""What an architecture has to say: how kernel addresses become physical ones, and its constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mdf.core.arch.paging import Mapping, Step
from mdf.core.dumps import Dump
from mdf.core.errors import MissingInfoError
from mdf.core.formats.elf import ByteOrder
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.release import Release

_T = TypeVar("_T")


class Machine(Protocol):
    """The address space of one crashed machine.

    `phys_base` is what the dump header keeps; `kernel_base` is the lowest kernel address; `max_physmem_bits` and
    `section_size_bits` are those of SPARSEMEM; `mem_map_pfn` is the page frame that FLATMEM's mem_map begins with;
    `lookups` are the hits and misses of the page-table cache.
    """

    @property
    def phys_base(self) -> int: ...
    @property
    def kernel_base(self) -> int: ...
    @property
    def max_physmem_bits(self) -> int: ...
    @property
    def section_size_bits(self) -> int: ...
    @property
    def mem_map_pfn(self) -> int: ...
    @property
    def lookups(self) -> tuple[int, int]: ...

    def translate(self, vaddr: int, trace: Callable[[Step], None] | None = None) -> Mapping:
        """Where a kernel virtual address is; `trace` sees the table entries. Raises AddressError."""
        ...

    def physical(self, paddr: int) -> int:
        """A physical address as the dump counts it (without encryption bits)."""
        ...


def _zero(_dump: Dump, _info: Vmcoreinfo | None) -> int:
    return 0


def _as_the_dump(dump: Dump, _info: Vmcoreinfo) -> ByteOrder:
    return dump.byteorder


@dataclass(frozen=True)
class Architecture:
    """What the registry holds: how to make a `Machine`, and `phys_base` alone, also without kernel information.

    `phys_base` is 0 on machines that need none. `byteorder` is the kernel's where it can differ from
    that of the file around its memory.
    """

    machine: Callable[[Dump, Vmcoreinfo], Machine]
    phys_base: Callable[[Dump, Vmcoreinfo | None], int] = _zero
    byteorder: Callable[[Dump, Vmcoreinfo], ByteOrder] = _as_the_dump


def required_symbol(info: Vmcoreinfo, *names: str) -> int:
    """The address of the first known symbol. Raises MissingInfoError."""
    value = info.symbol(*names)
    if value is None:
        raise MissingInfoError(f"Can't get the symbol of {' or '.join(names)}.")
    return value


def utsname_address(info: Vmcoreinfo) -> int:
    """The virtual address of the kernel's name. Raises MissingInfoError."""
    address = info.symbol("system_utsname")  # before 2.6.19
    if address is not None:
        return address
    # The name follows a reference count where its offset is not exported.
    offset = info.offset("uts_namespace.name")
    return required_symbol(info, "init_uts_ns") + (4 if offset is None else offset)


def exported_or(info: Vmcoreinfo, name: str, default: int) -> int:
    """A NUMBER that the kernel exports above 0, else what the architecture had at that version."""
    value = info.number(name)
    return value if value is not None and value > 0 else default


def at_release(until: tuple[tuple[Release, _T], ...], release: Release, today: _T) -> _T:
    """What held until a release, in a table of those; `today` what holds since the last of them."""
    return next((value for end, value in until if release < end), today)


def guessed_physmem_bits(dump: Dump, info: Vmcoreinfo, candidates: tuple[int, ...], section_size_bits: int) -> int:
    """MAX_PHYSMEM_BITS: what the kernel exports, else the first candidate that mem_section has the length for.

    Raises MissingInfoError if none has it.
    """
    exported = exported_or(info, "MAX_PHYSMEM_BITS", 0)
    if exported:
        return exported
    shift = exported_or(info, "SECTION_SIZE_BITS", section_size_bits)
    length, size = info.length("mem_section"), info.size("mem_section")
    for bits in candidates:
        sections = 1 << max(bits - shift, 0)
        if length is not None and size and length in (sections, sections // max(dump.page_size // size, 1)):
            return bits
    if info.symbol("mem_section") is None:
        return candidates[-1]
    raise MissingInfoError(f"Can't tell MAX_PHYSMEM_BITS by the length of mem_section, {length}.")
