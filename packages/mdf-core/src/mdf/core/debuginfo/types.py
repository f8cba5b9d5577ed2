# SPDX-License-Identifier: GPL-2.0-or-later
"""Structures as debug information describes them, whichever form it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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


def offsets_in(data: bytes, name: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    """All offsets in a string table, the bytes [start, end) of `data`, at which `name` can be read.

    A string may be the tail of a longer one.
    """
    text = name.encode() + b"\x00"
    at = data.find(text, start, end)
    while at >= 0:
        yield at - start
        at = data.find(text, at + 1, end)
