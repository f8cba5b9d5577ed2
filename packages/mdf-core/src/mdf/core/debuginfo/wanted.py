# SPDX-License-Identifier: GPL-2.0-or-later
"""Which part of the debug information is wanted, and what was found of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mdf.core.debuginfo.types import Structure


@dataclass(frozen=True)
class Wanted:
    """The names to look for: structures (also by their typedefs), enumerators, variables that may be arrays, and
    typedefs whose source file matters.
    """

    structures: frozenset[str] = frozenset()
    constants: frozenset[str] = frozenset()
    arrays: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self.structures | self.constants | self.arrays | self.sources


@dataclass
class Types:
    """What was found. `arrays` has the number of elements (0 for a declaration that leaves it open); a variable that
    is no array is None there. Of several types with one name the first counts.
    """

    structures: dict[str, Structure] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, int | None] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def missing(self, wanted: Wanted) -> Wanted:
        """What of `wanted` was not found."""
        return Wanted(
            wanted.structures - self.structures.keys(),
            wanted.constants - self.constants.keys(),
            wanted.arrays - self.arrays.keys(),
            wanted.sources - self.sources.keys(),
        )
