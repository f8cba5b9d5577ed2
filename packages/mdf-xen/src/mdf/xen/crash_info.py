# SPDX-License-Identifier: GPL-2.0-or-later
"""The note XEN_ELFNOTE_CRASH_INFO: an array of unsigned long, by which the hypervisor says what and where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Self

from mdf.core.dumps import Dump
from mdf.core.errors import AddressError, FormatError, MissingInfoError

_COMMON = 8  # major, minor, five strings, tainted
_EXTRA_VERSION = 2
_STRING_MAX = 64
_POINT = re.compile(r"\.(\d{1,5})")


class Version(NamedTuple):
    """A release of Xen; `point` is -1 where the name does not say (a development version)."""

    major: int
    minor: int
    point: int = -1


@dataclass(frozen=True)
class CrashInfo:
    """What the note says. `name` is the version as Xen writes it, as "4.17.5-pre".

    `xen_phys_start` is where the hypervisor is in memory; `frame_list_list` is the page frame number of dom0's
    pfn_to_mfn_frame_list_list. Either is 0 where the note is too old to have it.
    """

    version: Version
    name: str
    xen_phys_start: int
    frame_list_list: int

    @classmethod
    def of(cls, dump: Dump) -> Self:
        """Raises MissingInfoError without the note, FormatError if it is too small."""
        data, long = dump.notes.xen_crash_info, dump.bits // 8
        if data is None:
            raise MissingInfoError(f"{dump.source.path} has no crash information of Xen in its notes.")
        words = [int.from_bytes(data[at : at + long], dump.byteorder) for at in range(0, len(data) - long + 1, long)]
        if len(words) < _COMMON:
            raise FormatError(f"{dump.source.path}: Xen crash info too small ({len(data)} bytes).")
        # Three forms, told by size alone: xen_phys_start came last, in front of the list.
        start, frames = [0, 0, *words[_COMMON : _COMMON + 2]][-2:]
        extra = _string(dump, words[_EXTRA_VERSION])
        point = _POINT.match(extra)
        version = Version(words[0], words[1], int(point[1]) if point else -1)
        return cls(version, f"{version.major}.{version.minor}{extra}", start, frames)


def _string(dump: Dump, paddr: int) -> str:
    """A C string of the hypervisor's; empty if it is not in the dump."""
    # It may lie at the end of what the dump has.
    for size in (_STRING_MAX, _STRING_MAX // 4):
        try:
            return dump.read(paddr, size).split(b"\x00")[0].decode("ascii", "replace")
        except AddressError:
            continue
    return ""
