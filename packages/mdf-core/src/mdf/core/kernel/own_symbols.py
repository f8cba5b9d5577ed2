# SPDX-License-Identifier: GPL-2.0-or-later
"""The crashed kernel's own table of symbols, in its memory; since 6.0 VMCOREINFO says where the table is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from mdf.core.debuginfo.kallsyms import CODES, Encoding, Names, token_texts
from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.kernel.kernel import Kernel

# Several times what the largest kernels have.
_SYMBOLS_MAX, _NAMES_MAX, _TOKENS_MAX = 1 << 22, 1 << 25, 1 << 16
# VMCOREINFO has the addresses of these, which tell how the table keeps addresses.
_ANCHORS = ("_stext", "init_uts_ns", "swapper_pg_dir")


class OwnSymbols:
    """Addresses by name, looked up one by one.

    Raises MissingInfoError for a kernel that does not say where its table is, FormatError for one that has no table
    there, AddressError.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._names = self._read_names()
        self._address = self._scheme()

    def address(self, name: str) -> int | None:
        """The address of a symbol; None if the kernel has none of this name."""
        number = self._names.number(name)
        return None if number is None else self._address(number) & self._mask

    def _read_names(self) -> Names:
        kernel = self._kernel
        count = kernel.read_uint(self._place("num_syms"), 4)
        names, tokens, index = (self._place(name) for name in ("names", "token_table", "token_index"))
        if not (0 < count <= _SYMBOLS_MAX and 0 < tokens - names <= _NAMES_MAX and 0 < index - tokens <= _TOKENS_MAX):
            raise FormatError(f"kallsyms: {count} names at {names:#x} before tokens at {tokens:#x} and {index:#x}")
        texts = token_texts(kernel.read(tokens, index - tokens), kernel.read(index, 2 * CODES), kernel.byteorder)
        return Names(kernel.read(names, tokens - names), count, Encoding(texts), kernel.byteorder)

    def _place(self, name: str) -> int:
        address = self._kernel.info.symbol(f"kallsyms_{name}")
        if address is None:
            raise MissingInfoError(f"vmcoreinfo lacks SYMBOL(kallsyms_{name}).")
        return address

    def _scheme(self) -> Callable[[int], int]:
        """How the table keeps addresses: the way in which the symbols that VMCOREINFO names are where it says."""
        info = self._kernel.info
        known = [(self._names.number(name), at) for name in _ANCHORS if (at := info.symbol(name)) is not None]
        anchors = [(number, at) for number, at in known if number is not None]
        for scheme in self._schemes():
            if anchors and all(scheme(number) & self._mask == at for number, at in anchors):
                return scheme
        raise FormatError("kallsyms: the addresses of the kernel's table are not those of vmcoreinfo")

    def _schemes(self) -> Iterator[Callable[[int], int]]:
        info = self._kernel.info
        if info.symbol("kallsyms_addresses") is not None:
            yield self._pointer
        if info.symbol("kallsyms_offsets") is not None:
            if info.symbol("kallsyms_relative_base") is None:
                yield self._from_itself
            else:
                yield self._from_base
                yield self._absolute_or_below_base

    def _pointer(self, number: int) -> int:
        """CONFIG_KALLSYMS_BASE_RELATIVE is not set (until 6.15)."""
        return self._kernel.read_pointer(self._place("addresses") + number * (self._kernel.dump.bits // 8))

    def _from_base(self, number: int) -> int:
        return self._base + self._offset(number)

    def _absolute_or_below_base(self, number: int) -> int:
        """CONFIG_KALLSYMS_ABSOLUTE_PERCPU (until 6.15): what is not negative is a per-CPU offset."""
        offset = self._offset(number)
        return offset if offset < 1 << 31 else self._base - 1 - (offset - (1 << 32))

    def _from_itself(self, number: int) -> int:
        """Since 7.1 an offset counts from where it is."""
        offset = self._offset(number)
        return self._place("offsets") + 4 * number + (offset if offset < 1 << 31 else offset - (1 << 32))

    def _offset(self, number: int) -> int:
        return self._kernel.read_uint(self._place("offsets") + 4 * number, 4)

    @cached_property
    def _base(self) -> int:
        return self._kernel.read_pointer(self._place("relative_base"))

    @property
    def _mask(self) -> int:
        return (1 << self._kernel.dump.bits) - 1
