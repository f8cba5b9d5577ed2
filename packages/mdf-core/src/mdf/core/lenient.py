# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers on the command line, read as leniently as the C library reads them: scripts rely on it.

What is no number is 0, and what follows a number is ignored; only the values checked here are refused, with the
sentence scripts know.
"""

from __future__ import annotations

from mdf.core.errors import UsageError
from mdf.core.messages import MAX_LEVEL

MAX_DUMP_LEVEL = 31
MAX_DUMP_LEVELS = 32
_DIGITS = "0123456789abcdef"
_SUFFIXES = "kmgtpe"


class LiteralUsageError(UsageError):
    """A usage error whose line is one that scripts know: printed as a common message, not as an error."""


def _number(text: str, base: int) -> tuple[int, str]:
    """The number `text` begins with, and the rest of the text; base 0 takes the 0x and 0 prefixes."""
    rest = text.lstrip().lower()
    sign = -1 if rest[:1] == "-" else 1
    rest = rest[1:] if rest[:1] in ("-", "+") else rest
    if base == 0:
        base = 16 if rest[:2] == "0x" and rest[2:3] in set(_DIGITS) else 8 if rest[:1] == "0" else 10
        rest = rest[2:] if base == 16 else rest
    end = len(rest) - len(rest.lstrip(_DIGITS[:base]))
    return sign * int(rest[:end] or "0", base), rest[end:]


def atoi(text: str) -> int:
    """A decimal number: `atoi("31,1")` is 31, `atoi("abc")` is 0."""
    return _number(text, 10)[0]


def count(text: str) -> int:
    """A decimal number that cannot be negative: `count("-3")` is 0."""
    return max(0, atoi(text))


def address(text: str) -> int:
    """A 64-bit address with an optional 0x (hexadecimal) or 0 (octal) prefix."""
    return min(_number(text, 0)[0], (1 << 64) - 1) % (1 << 64)


def size(text: str) -> int:
    """A size in bytes for `-L`, above 0, with an optional suffix of K, M, G, T, P or E (powers of 1024)."""
    number, rest = _number(text, 0)
    exponent = _SUFFIXES.find(rest) + 1 if len(rest) == 1 else 0
    number <<= 10 * exponent
    if not 0 < number < 1 << 64 or (rest and not exponent):
        raise LiteralUsageError(f"Limit size({text}) is invalid.")
    return number


def dump_levels(text: str) -> tuple[int, ...]:
    """The levels of `-d`, separated by commas: at most 32, each 0 to 31; (0,) if there is none."""
    levels = tuple(atoi(part) for part in text.split(",") if part)
    for level in levels:
        if not 0 <= level <= MAX_DUMP_LEVEL:
            raise LiteralUsageError(f"Dump_level({level}) is invalid.")
    if len(levels) > MAX_DUMP_LEVELS:
        raise LiteralUsageError("Dump_level is invalid.")
    return levels or (0,)


def message_level(text: str) -> int:
    """The bits of `--message-level`, 0 to 31."""
    level = atoi(text)
    if not 0 <= level <= MAX_LEVEL:
        raise LiteralUsageError(f"Message_level({level}) is invalid.")
    return level
