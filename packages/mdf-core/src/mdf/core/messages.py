# SPDX-License-Identifier: GPL-2.0-or-later
"""Message levels, streams and the progress line: what a command says while it runs.

The classes and their streams are those scripts rely on: common, debug and report messages go to standard output, or
to standard error when standard output carries the dump; progress and errors always go to standard error.
"""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from mdf.core.errors import MdfError, OutputError


class Level(enum.IntFlag):
    """The bits of `--message-level`."""

    PROGRESS = 1
    COMMON = 2
    ERROR = 4
    DEBUG = 8
    REPORT = 16


DEFAULT_LEVEL = Level.PROGRESS | Level.COMMON | Level.ERROR
MAX_LEVEL = 31


# What a terminal obeys, and no message has: names and numbers out of a dump may.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


def _write(stream: TextIO, text: str) -> None:
    text = text.translate(_CONTROLS)
    try:
        stream.write(text)
    except UnicodeEncodeError:  # A file's name that is no text in the stream's encoding.
        stream.write(text.encode("ascii", "backslashreplace").decode())
    stream.flush()


class Messages:
    """Prints each class of message if the level asks for it, to the stream the class belongs to.

    `to_stderr` moves the messages of standard output to standard error, as `-F` needs. Streams default to the
    interpreter's at the time of the call, so that redirection works.
    """

    def __init__(
        self,
        level: int = DEFAULT_LEVEL,
        *,
        to_stderr: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.level = Level(level)
        self._err = stderr or sys.stderr
        self._out = self._err if to_stderr else (stdout or sys.stdout)

    def _say(self, level: Level, stream: TextIO | None, text: str, end: str = "\n") -> None:
        # Python has no stream where the caller has closed the descriptor.
        if stream is None or not self.level & level:
            return
        try:
            _write(stream, text + end)
        except (OSError, ValueError):
            # A console that went away must not cost the dump.
            self.level &= ~level

    def answer(self, text: str) -> None:
        """What a command was asked for, at any level. Raises OSError if it can't be written."""
        if self._out is None:
            raise OutputError("Can't write to standard output: it is closed.")
        _write(self._out, text + "\n")

    def common(self, text: str = "", end: str = "\n") -> None:
        """A common message, for example "The dumpfile is saved to NAME."."""
        self._say(Level.COMMON, self._out, text, end)

    def report(self, text: str = "") -> None:
        """A line of the final statistics or a step time."""
        self._say(Level.REPORT, self._out, text)

    def debug(self, text: str) -> None:
        """A line of the debug level."""
        self._say(Level.DEBUG, self._out, text)

    def progress(self, text: str, end: str = "\n") -> None:
        """A piece of the progress indicator."""
        self._say(Level.PROGRESS, self._err, text, end)

    def error(self, text: str) -> None:
        """A line on standard error."""
        self._say(Level.ERROR, self._err, text)

    def failure(self, error: MdfError) -> None:
        """An error as the user sees it: one line, and its hint on the next."""
        self.error(str(error))
        if error.hint:
            self.error(error.hint)

    @contextmanager
    def step(self, label: str, *, eta: bool = False) -> Iterator[Progress]:
        """A step with a progress line: yields its `Progress`, and at the end prints 100 % and the step's time."""
        progress = Progress(self, label, eta=eta)
        yield progress
        progress.done()
        self.report(f"STEP [{label:<27}] : {progress.elapsed():.6f} seconds")


class Progress:
    """The progress line of one step: at most one a second, and always one for 100 %.

    The form (50 columns of label, one decimal, spinner, remaining time) is fixed: consoles and log scrapers know it.
    """

    _SPINNER = "/|\\-"

    def __init__(self, messages: Messages, label: str, *, eta: bool = False) -> None:
        self._messages = messages
        self._label = label
        self._eta = eta
        self._start = self._last = time.monotonic()
        self._turn = 0
        self._finished = False

    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._start

    def update(self, current: int, end: int) -> None:
        """Shows that `current` of `end` units are done, if a second has passed since the last line."""
        now = time.monotonic()
        if current < end and now - self._last >= 1:
            self._last = now
            self._print(current * 1000 // end)

    def done(self) -> None:
        """Prints the line for 100 %, once."""
        if not self._finished:
            self._finished = True
            self._print(1000)

    def _print(self, permille: int) -> None:
        spinner = self._SPINNER[self._turn % len(self._SPINNER)]
        self._turn += 1
        remaining = eta_text(self.elapsed(), permille) if self._eta else " "
        line = f"\r{self._label:<27}".ljust(51) + f": [{permille // 10:3}.{permille % 10} %] {spinner}  {remaining:>16}"
        self._messages.progress(line, end="")


def eta_text(elapsed: float, permille: int) -> str:
    """The remaining time of a step that took `elapsed` seconds for `permille` of its work (one blank if unknown)."""
    if not permille:
        return " "
    seconds = int(elapsed * 1000) // permille - int(elapsed)
    if seconds < 100:
        return f"eta: {seconds}s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 100:
        return f"eta: {minutes}m{seconds % 60}s"
    if hours < 48:
        return f"eta: {hours}h{minutes % 60}m"
    if days < 100:
        return f"eta: {days}d{hours % 24}h"
    return "eta: >100day"
