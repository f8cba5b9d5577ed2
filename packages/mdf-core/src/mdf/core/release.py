# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel releases as comparable versions."""

from __future__ import annotations

import re
from typing import NamedTuple

from mdf.core.errors import FormatError

_NUMBERS = re.compile(r"(\d{1,5})\.(\d{1,5})(?:\.(\d{1,5}))?")


class Release(NamedTuple):
    """The numbers of a release such as `6.1.0-56-amd64`; what follows the third number plays no part."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Release:
        """Raises FormatError if `text` does not begin like a release."""
        match = _NUMBERS.match(text)
        if not match:
            raise FormatError(f"{text[:64]!r} is not a kernel release.")
        return cls(int(match[1]), int(match[2]), int(match[3] or 0))

    def __str__(self) -> str:
        return ".".join(map(str, self))


OLDEST_KNOWN = Release(2, 6, 24)
NEWEST_KNOWN = Release(7, 2, 999)
