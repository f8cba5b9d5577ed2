# SPDX-License-Identifier: GPL-2.0-or-later
"""Finding the few units of a kernel's DWARF that matter, without looking into the thousands that don't.

Even to parse the first entry of every unit takes longer than all the rest. So what is compared are bytes: the offset of
a string that is wanted has to be in the unit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from mdf.core.debuginfo.dies import name_of, number_of
from mdf.core.debuginfo.types import offsets_in
from mdf.core.formats.elf import ByteOrder

_UNIT_HEADER = 11  # bytes, at least
_NAME_WITHIN = 32  # bytes from the begin of a unit
_RUST = 0x1C


class Units:
    """The units of `dwarf`, an `elftools` DWARFInfo."""

    def __init__(self, dwarf: Any) -> None:
        self._order: ByteOrder = "little" if dwarf.config.little_endian else "big"
        self._info: bytes = dwarf.debug_info_sec.stream.getvalue()
        self._strings = [
            section.stream.getvalue() for section in (dwarf.debug_str_sec, dwarf.debug_line_str_sec) if section
        ]
        # There names are not offsets, but indices into a table.
        self._indexed = getattr(dwarf, "debug_str_offsets_sec", None) is not None
        self._units = list(dwarf.iter_CUs())
        self._starts = [unit.cu_offset for unit in self._units]

    def named(self, paths: Collection[str]) -> list[Any]:
        """The units of these source files, in the order of `paths`."""
        return _matching(self._likely(paths), paths) or _matching(self._units, paths)

    def _likely(self, paths: Collection[str]) -> Iterator[Any]:
        """The units that begin with the offset of one of the strings, or of a longer one that ends with it."""
        starts = {
            start
            for table in self._strings
            for path in paths
            for at in offsets_in(table, path)
            for start in (at, table.rfind(b"\x00", 0, at) + 1)
        }
        patterns = [self._offset(start) for start in starts]
        for unit in self._units:
            head = self._info[unit.cu_offset + _UNIT_HEADER : unit.cu_offset + _NAME_WITHIN]
            if any(pattern in head for pattern in patterns):
                yield unit

    def mentioning(self, name: str) -> Iterator[Any]:
        """The units in which `name` may be the name of something, in the order of the file."""
        patterns = [self._offset(at) for table in self._strings for at in offsets_in(table, name)]
        if self._indexed and patterns:
            candidates = self._units
        else:
            candidates = [
                self._units[index] for index in sorted({i for pattern in patterns for i in self._hits(pattern)})
            ]
        return (unit for unit in candidates if not _is_rust(unit))

    def _hits(self, pattern: bytes) -> Iterator[int]:
        """The units that contain the bytes of `pattern`."""
        at = self._info.find(pattern)
        while at >= 0:
            index = bisect_right(self._starts, at) - 1
            yield index
            if index + 1 == len(self._starts):
                return
            at = self._info.find(pattern, self._starts[index + 1])

    def _offset(self, start: int) -> bytes:
        return start.to_bytes(4, self._order)


def _matching(units: Iterable[Any], paths: Collection[str]) -> list[Any]:
    found: dict[str, Any] = {}
    for unit in units:
        name = name_of(unit.get_top_DIE())
        for path in paths:
            if name == path or name.endswith(f"/{path}"):
                found.setdefault(path, unit)
        if len(found) == len(paths):
            break
    return [found[path] for path in paths if path in found]


def _is_rust(unit: Any) -> bool:
    """Rust describes the same types in its own way."""
    return number_of(unit.get_top_DIE(), "DW_AT_language") == _RUST
