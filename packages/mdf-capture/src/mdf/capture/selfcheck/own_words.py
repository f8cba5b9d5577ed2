# SPDX-License-Identifier: GPL-2.0-or-later
"""What the crashed kernel says of itself beyond VMCOREINFO, read when it is asked for: its symbols and its types."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property

from mdf.core.debuginfo.btf_search import BtfSearch
from mdf.core.debuginfo.types import Structure
from mdf.core.errors import MdfError
from mdf.core.kernel import Kernel
from mdf.core.kernel.own_symbols import OwnSymbols
from mdf.core.kernel.own_types import own_types


class OwnWords:
    """Nothing here is needed to make a dump: what can't be read is not known."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._structures: dict[str, Structure | None] = {}

    def address(self, name: str) -> int | None:
        """The address of a variable."""
        with suppress(MdfError):
            return self._symbols.address(name) if self._symbols else None
        return None

    def value(self, name: str, size: int | None = None) -> int | None:
        """The value of a variable of so many bytes, by default a long word."""
        address = self.address(name)
        with suppress(MdfError):
            return None if address is None else self.kernel.read_uint(address, size or self.kernel.dump.bits // 8)
        return None

    def structure(self, name: str) -> Structure | None:
        """A structure."""
        if name not in self._structures:
            self._structures[name] = None
            with suppress(MdfError):
                self._structures[name] = self._types.structure(name) if self._types else None
        return self._structures[name]

    def constants(self, name: str) -> Mapping[str, int]:
        """The enumerators of an enumeration; none if it is not known."""
        with suppress(MdfError):
            return self._types.constants(name) if self._types else {}
        return {}

    @cached_property
    def _symbols(self) -> OwnSymbols | None:
        with suppress(MdfError):
            return OwnSymbols(self.kernel)
        return None

    @cached_property
    def _types(self) -> BtfSearch | None:
        with suppress(MdfError):
            return own_types(self.kernel, self._symbols) if self._symbols else None
        return None
