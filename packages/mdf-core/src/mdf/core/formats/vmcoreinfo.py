# SPDX-License-Identifier: GPL-2.0-or-later
"""VMCOREINFO: what a kernel says about its own symbols, structures and numbers, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mdf.core.errors import FormatError, MissingInfoError
from mdf.core.release import Release

# More than the kernel's own text can have, which is one page.
TEXT_MAX = 1 << 20
_LONG_MAX = (1 << 63) - 1
_MAX_LINE = 1499
# Of several lines with these keys, also from several texts, the last one counts.
_LAST_COUNTS = ("PAGESIZE", "CRASHTIME")


@dataclass(frozen=True)
class Vmcoreinfo:
    """Typed access to the lines of a VMCOREINFO text; `values` maps what stands before the first `=` to the rest.

    Addresses are relocated already when the text comes from the running kernel itself. `source` is where the values
    come from, `origins` where those of single keys do if it is elsewhere. `pointers` names variables of which is known
    that they are pointers, and that SYMBOL is the address of the variable itself.
    """

    values: Mapping[str, str]
    source: str = "vmcoreinfo"
    origins: Mapping[str, str] = field(default_factory=dict)
    pointers: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: bytes, source: str = "vmcoreinfo") -> Vmcoreinfo:
        """The first of several lines with one key counts, but the last PAGESIZE and CRASHTIME.

        What is behind `TEXT_MAX` bytes is not read.
        """
        values: dict[str, str] = {}
        for line in text[:TEXT_MAX].split(b"\n"):
            key, equals, value = line[:_MAX_LINE].decode("ascii", "replace").partition("=")
            if equals and (key not in values or key in _LAST_COUNTS):
                values[key] = value.strip("\x00\r")
        return cls(values, source)

    def origin(self, key: str) -> str | None:
        """Where the value of a key, as "SYMBOL(prb)", comes from; None for one that is not known."""
        return self.origins.get(key, self.source) if key in self.values else None

    def completed(self, later: Vmcoreinfo) -> Vmcoreinfo:
        """What is missing here is taken from what is read `later`, and so are PAGESIZE and CRASHTIME in any case."""
        added = {key: value for key, value in later.values.items() if key not in self.values or key in _LAST_COUNTS}
        origins = dict(self.origins) | {key: later.origins.get(key, later.source) for key in added}
        return replace(self, values={**self.values, **added}, origins=origins)

    def relocated(self, offset: int, bits: int) -> Vmcoreinfo:
        """All symbols moved by `offset` bytes, in an address space of so many `bits`."""
        if not offset:
            return self
        values = dict(self.values)
        for key in values:
            if key.startswith("SYMBOL(") and (address := self.symbol(key[7:-1])) is not None:
                values[key] = f"{address + offset & (1 << bits) - 1:x}"
        return replace(self, values=values)

    def symbol(self, *names: str) -> int | None:
        """The address of the first of these symbols that is known. Raises FormatError for one that can't be."""
        for name in names:
            text = self.values.get(f"SYMBOL({name})")
            if text is not None:
                value = self._integer(f"SYMBOL({name})", text, 16)
                if not 0 < value < 0xFFFFFFFF_FFFFFFFF:
                    raise self._invalid(f"SYMBOL({name})", text)
                return value
        return None

    def size(self, structure: str) -> int | None:
        """The size of a structure in bytes."""
        return self._natural(f"SIZE({structure})")

    def offset(self, *members: str) -> int | None:
        """The offset in bytes of the first of these members that is known."""
        known = (self._natural(f"OFFSET({member})") for member in members)
        return next((offset for offset in known if offset is not None), None)

    def length(self, array: str) -> int | None:
        """The number of elements of an array."""
        return self._natural(f"LENGTH({array})")

    def number(self, name: str) -> int | None:
        """A number; negative ones are page types and the like."""
        text = self.values.get(f"NUMBER({name})")
        return None if text is None else self._integer(f"NUMBER({name})", text, 10)

    def _natural(self, key: str) -> int | None:
        text = self.values.get(key)
        if text is None:
            return None
        value = self._integer(key, text, 10)
        if not 0 <= value < _LONG_MAX:
            raise self._invalid(key, text)
        return value

    def _invalid(self, key: str, text: str) -> FormatError:
        return FormatError(f"Invalid data in {self.origin(key)}: {key}={text[:80]}")

    def _integer(self, key: str, text: str, base: int) -> int:
        for radix in (base, 16):
            try:
                value = int(text, radix)
            except ValueError:
                continue
            if "_" not in text and abs(value) < 1 << 64:
                return value
        raise self._invalid(key, text)

    @property
    def page_size(self) -> int:
        """PAGESIZE in bytes. Raises MissingInfoError without one, FormatError for one that is no page size."""
        text = self.values.get("PAGESIZE")
        if text is None:
            raise MissingInfoError("vmcoreinfo has no PAGESIZE.")
        value = self._integer("PAGESIZE", text, 10)
        if not 1 << 10 <= value <= 1 << 20 or value & (value - 1):
            raise self._invalid("PAGESIZE", text)
        return value

    @property
    def osrelease(self) -> str:
        """OSRELEASE. Raises MissingInfoError without one."""
        text = self.values.get("OSRELEASE")
        if not text:
            raise MissingInfoError("vmcoreinfo has no OSRELEASE.")
        return text[:64]

    @property
    def release(self) -> Release:
        """OSRELEASE as a comparable version."""
        return Release.parse(self.osrelease)

    @property
    def kernel_offset(self) -> int | None:
        """KERNELOFFSET: how far KASLR moved the kernel, in bytes."""
        text = self.values.get("KERNELOFFSET")
        return None if text is None else self._integer("KERNELOFFSET", text, 16)

    @property
    def crashtime(self) -> int:
        """CRASHTIME in seconds since the epoch; 0 if the kernel does not say."""
        text = self.values.get("CRASHTIME")
        return 0 if text is None else self._integer("CRASHTIME", text, 10)
