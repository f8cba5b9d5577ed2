# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as text: lines as a console shows them, or JSON."""

from __future__ import annotations

import string

from mdf.dmesg.record import Record

# Newlines are not escaped either, but indented.
_PLAIN = string.printable.encode()

# Where `char` has a sign, a byte from 0x80 on is escaped with that sign extended to 32 bits: scripts know it so.
_SIGNED_CHAR = frozenset({"x86_64", "i686", "ia64", "loongarch64", "mips", "sparc", "sparc64"})


class TextFormat:
    """The lines of the log of a machine (as in utsname)."""

    def __init__(self, machine: str) -> None:
        high = r"\xffffff%02x" if machine in _SIGNED_CHAR else r"\x%02x"
        self._escapes = tuple(
            bytes([byte]) if byte in _PLAIN else ((r"\x%02x" if byte < 0x80 else high) % byte).encode()
            for byte in range(256)
        )

    def __call__(self, record: Record) -> bytes:
        """The record with its final newline. What has no time of its own is left as it is."""
        if record.ts_nsec is None:
            return record.text
        seconds, nanoseconds = divmod(record.ts_nsec, 1_000_000_000)
        prefix = f"[{seconds:5}.{nanoseconds // 1000:06}] "
        if record.caller is not None:
            prefix += f"[{record.caller:>8}] "
        text = record.text
        if text.translate(None, _PLAIN):
            text = b"".join(map(self._escapes.__getitem__, text))
        return prefix.encode() + text.replace(b"\n", b"\n" + b" " * len(prefix)) + b"\n"


def as_json(record: Record) -> bytes:
    r"""The record as a line of JSON: `text`, and where the kernel has them `ts_nsec` and `caller`.

    Bytes of the text that are not UTF-8 become `\xNN`.
    """
    import json

    values = {
        "ts_nsec": record.ts_nsec,
        "caller": record.caller,
        "text": record.text.removesuffix(b"\n").decode("utf-8", "backslashreplace"),
    }
    return json.dumps({key: value for key, value in values.items() if value is not None}).encode() + b"\n"
