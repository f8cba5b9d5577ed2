# SPDX-License-Identifier: GPL-2.0-or-later
"""What debug information says of a kernel's types, whichever form it has, and which part of it is wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mdf.core.errors import FormatError

# Deeper than any type is nested: what goes on beyond it is a loop in damaged data.
MAX_DEPTH = 64
# More than any structure has: what goes on beyond them is damaged data.
MAX_MEMBERS = 1 << 16


@dataclass(frozen=True)
class Member:
    """A member of a structure: its offset in bytes, and the number of its elements if it is an array."""

    offset: int
    length: int | None = None


@dataclass(frozen=True)
class Structure:
    """A structure: its size in bytes and its members by name. Members of anonymous structures and unions belong to it,
    and so do those of structures that have a name within it, where it has none of that name itself.
    """

    size: int
    members: Mapping[str, Member]


class Members:
    """The members of one structure while they are collected. Raises FormatError for more than there can be."""

    def __init__(self) -> None:
        self._own: dict[str, Member] = {}
        self._inner: dict[str, Member] = {}
        self._count = 0

    def note(self, name: str, member: Member, *, inner: bool) -> None:
        """Notes a member, `inner` if it is one of a structure that has a name; without a name it only counts."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise FormatError(f"a structure with more than {MAX_MEMBERS} members")
        if name:
            (self._inner if inner else self._own).setdefault(name, member)

    def structure(self, size: int) -> Structure:
        """The structure."""
        return Structure(size, self._inner | self._own)


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


def offsets_in(table: bytes, name: str) -> Iterator[int]:
    """All offsets in a string table at which `name` can be read: a string may be the tail of a longer one."""
    text = name.encode() + b"\x00"
    at = table.find(text)
    while at >= 0:
        yield at
        at = table.find(text, at + 1)
