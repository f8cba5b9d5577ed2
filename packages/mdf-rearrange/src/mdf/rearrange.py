#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns a flattened dump stream, as `makedumpfile -F` writes it, into a dump file.

One file that needs nothing but Python 3.6 or newer: it may be copied to a host as it is.

The stream is a header of 4096 bytes (16 bytes of signature, then type and version), records (offset and size, then
`size` bytes that belong at `offset` of the dump file) and an end marker, a record whose offset and size are -1. All
numbers are signed, of 64 bits and big endian. Records come in any order; where they overlap the later one wins; what no
record covers is zero. The memory used is that of one buffer, whatever the stream says.
"""

import argparse
import errno
import fcntl
import os
import signal
import stat
import struct
import sys
import tempfile
from contextlib import contextmanager, suppress
from typing import Callable, Iterator, List, NoReturn, Optional, Sequence, TextIO, Tuple

__version__ = "0.1.0"

HEADER_SIZE = 4096
SIGNATURE = b"makedumpfile".ljust(16, b"\0")
HEADER = struct.Struct(">16sqq")
RECORD = struct.Struct(">qq")
TYPE = 1
END = (-1, -1)

# Writers count the bytes of a record in 32 bits with a sign; no machine has more than 4 PiB of memory.
MAX_RECORD_SIZE = (1 << 31) - 1
MAX_DUMP_SIZE = 1 << 52

BUFFER_SIZE = 1 << 20
BLOCK_SIZE = 4096
ZEROS = bytes(BLOCK_SIZE)
F_SETPIPE_SZ = 1031  # In the module fcntl since Python 3.10.

COMMON = 2
ERROR = 4
DEFAULT_LEVEL = 7


class RearrangeError(Exception):
    """One line for the user, and a second one that says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Stream:
    """A flattened stream that is read from a file descriptor; refuses what does not begin as one.

    `buffer` holds the data that `pieces` names. `records` and `size` count what came so far: whole records, and bytes
    of the dump file.
    """

    def __init__(self, source: int) -> None:
        self.buffer = bytearray(BUFFER_SIZE)
        self.records = 0
        self.size = 0
        self._source = source
        self._view = memoryview(self.buffer)
        self._start = self._stop = 0  # What of the buffer is not used yet.
        self._received = 0
        self._check_header()

    @property
    def position(self) -> int:
        """How many bytes of the stream are used."""
        return self._received - (self._stop - self._start)

    def pieces(self) -> Iterator[Tuple[int, int, int]]:
        """Yields (offset, start, stop): `buffer[start:stop]` belongs at `offset` of the dump file."""
        while True:
            offset, size = self._record()
            if (offset, size) == END:
                return
            while size:
                if self._start == self._stop:
                    self._read()
                stop = min(self._start + size, self._stop)
                yield offset, self._start, stop
                size -= stop - self._start
                offset += stop - self._start
                self._start = stop
                self.size = max(self.size, offset)
            self.records += 1

    def _check_header(self) -> None:
        self._need(HEADER.size)
        signature, kind, _ = HEADER.unpack_from(self.buffer)
        if signature != SIGNATURE:
            raise RearrangeError(
                "Standard input is not a flattened dump: its first bytes are not those of one.",
                "makedumpfile -F writes such a stream.",
            )
        if kind != TYPE:
            raise RearrangeError(f"The stream has type {kind} at byte 16, not {TYPE}: it cannot be rearranged.")
        self._need(HEADER_SIZE)
        self._start = HEADER_SIZE

    def _record(self) -> Tuple[int, int]:
        self._need(RECORD.size)
        offset, size = RECORD.unpack_from(self.buffer, self._start)
        sound = offset >= 0 and 0 < size <= MAX_RECORD_SIZE and offset + size <= MAX_DUMP_SIZE
        if not sound and (offset, size) != END:
            raise RearrangeError(
                f"The stream is damaged: its record at byte {self.position} has offset {offset} and size {size}.",
                "Everything behind that is lost; --keep-partial keeps what came before.",
            )
        self._start += RECORD.size
        return offset, size

    def _need(self, size: int) -> None:
        """Moves what is not used yet to the front of the buffer, and reads until that is `size` bytes or more."""
        rest = self._stop - self._start
        if rest < size:
            self.buffer[:rest] = self.buffer[self._start : self._stop]
            self._start, self._stop = 0, rest
        while self._stop < size:
            self._read()

    def _read(self) -> None:
        if self._start == self._stop:
            self._start = self._stop = 0
        try:
            count = os.readv(self._source, [self._view[self._stop :]])
        except OSError as error:
            raise RearrangeError(f"Can't read standard input at byte {self._received}: {error.strerror}.") from error
        if not count:
            raise RearrangeError(*self._ended())
        self._stop += count
        self._received += count

    def _ended(self) -> Tuple[str, str]:
        if not self._received:
            return "Standard input is empty.", "Its sender ended at once: see what that said."
        return (
            f"The stream ended after {self._received} bytes without its end marker: the dump is incomplete.",
            "Its sender died or the connection broke; --keep-partial keeps what came.",
        )


class SparseFile:
    """A new file that gets the pieces of a stream's `buffer`, with holes for its zeros."""

    def __init__(self, file: int, buffer: bytearray) -> None:
        self._file = file
        self._buffer = buffer
        self._view = memoryview(buffer)
        self._written = 0  # Where the last data ends.

    def write(self, offset: int, start: int, stop: int) -> None:
        """Writes `buffer[start:stop]` at `offset`, but the file's blocks that are zero."""
        shift = offset - start
        second = start + BLOCK_SIZE - offset % BLOCK_SIZE
        first_bytes = self._buffer[start : start + 1] + self._buffer[second:stop:BLOCK_SIZE]
        done = start
        block = first_bytes.find(0)
        while block >= 0:
            end = second + block * BLOCK_SIZE
            begin, end = max(end - BLOCK_SIZE, start), min(end, stop)
            if self._buffer.startswith(ZEROS[: end - begin], begin):
                self._write(self._view[done:begin], done + shift)
                self._clear(end - begin, begin + shift)
                done = end
            block = first_bytes.find(0, block + 1)
        self._write(self._view[done:stop], done + shift)

    def _write(self, data: memoryview, offset: int) -> None:
        while data:
            count = os.pwrite(self._file, data, offset)
            data = data[count:]
            offset += count
            self._written = max(self._written, offset)

    def _clear(self, size: int, offset: int) -> None:
        """Zeros need writing only where earlier records left something else."""
        if offset < self._written and os.pread(self._file, size, offset).strip(b"\0"):
            self._write(memoryview(ZEROS)[:size], offset)


class Head:
    """The first bytes of the dump file, which tell what it is."""

    SIZE = 464

    def __init__(self, buffer: bytearray) -> None:
        self.data = bytearray(self.SIZE)
        self._buffer = buffer

    def write(self, offset: int, start: int, stop: int) -> None:
        """Remembers what of `buffer[start:stop]` is within the first bytes."""
        if offset < self.SIZE:
            piece = self._buffer[start : min(stop, start + self.SIZE - offset)]
            self.data[offset : offset + len(piece)] = piece

    def describe(self) -> str:
        """The kind of dump, and for a kdump-compressed one the kernel's release and machine."""
        data = self.data
        if data.startswith(b"\x7fELF"):
            bits = {1: "32-bit", 2: "64-bit"}.get(data[4], "unknown word size")
            order = {1: "little endian", 2: "big endian"}.get(data[5], "unknown byte order")
            return f"an ELF file, {bits}, {order}"
        if data.startswith(b"KDUMP   "):
            version = min(struct.unpack_from("<I", data, 8)[0], struct.unpack_from(">I", data, 8)[0])
            release, machine = (_text(bytes(data[start : start + 65])) for start in (142, 272))
            return f"a kdump-compressed dump, version {version}, of {release} {machine}"
        return "unknown data"


def _text(field: bytes) -> str:
    return "".join(chr(byte) if 32 < byte < 127 else "?" for byte in field.split(b"\0")[0])


def receive(stream: Stream, write: Callable[[int, int, int], None]) -> None:
    """Hands the pieces of a stream to `write`, to the end of the stream."""
    for offset, start, stop in stream.pieces():
        write(offset, start, stop)


def rearrange(source: int, dumpfile: str, force: bool = False, keep_partial: bool = False) -> Stream:
    """Writes the dump file of the stream that the file descriptor `source` gives; returns the stream.

    The file gets its name when it is complete. With `force` it replaces an existing one. With `keep_partial` what came
    of an incomplete stream is kept as well, but under the name that `partial_name` gives.
    """
    _check_source(source)
    _check_target(dumpfile, force)
    dumpfile = os.path.realpath(dumpfile)
    partial = partial_name(dumpfile)
    if keep_partial:
        _check_target(partial, force)
    stream = Stream(source)
    file, temporary = tempfile.mkstemp(prefix=".mdf-rearrange-", dir=os.path.dirname(dumpfile))
    try:
        try:
            receive(stream, SparseFile(file, stream.buffer).write)
        except (RearrangeError, OSError, KeyboardInterrupt) as error:
            if not (keep_partial and stream.size):
                raise
            _finish(file, stream.size)
            _publish(temporary, partial, force)
            raise RearrangeError(
                _line(error, dumpfile), f"What came is kept in {partial}: {stream.size} bytes."
            ) from error
        _finish(file, stream.size)
        _publish(temporary, dumpfile, force)
    finally:
        os.close(file)
        if os.path.lexists(temporary):
            os.unlink(temporary)
    return stream


def partial_name(dumpfile: str) -> str:
    """The name under which an incomplete dump file is kept."""
    return dumpfile + "-incomplete"


def _check_source(source: int) -> None:
    try:
        mode = os.fstat(source).st_mode
    except OSError as error:
        raise RearrangeError(f"Can't read standard input: {error.strerror}.") from error
    if stat.S_ISFIFO(mode):
        with suppress(OSError):  # Over the user's limit: only slower.
            fcntl.fcntl(source, F_SETPIPE_SZ, BUFFER_SIZE)
    elif os.isatty(source):
        raise RearrangeError("Standard input is a terminal.", "Send it the stream: mdf-rearrange DUMPFILE < STREAM")


def _check_target(name: str, force: bool) -> None:
    if not force and os.path.lexists(name):
        raise _exists(name)
    if os.path.exists(name) and not os.path.isfile(name):
        raise RearrangeError(f"{name} is not a regular file.")


def _exists(name: str) -> RearrangeError:
    return RearrangeError(f"{name} exists.", "-f overwrites it.")


def _finish(file: int, size: int) -> None:
    """Whoever sent the stream may throw the memory away when we are done, so the data has to be on the disk."""
    os.ftruncate(file, size)
    _sync(file)


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):  # A file system without it.
            raise


def _link(temporary: str, name: str) -> None:
    try:
        os.link(temporary, name)
    except FileExistsError:
        raise _exists(name) from None
    except OSError:  # A file system without hard links.
        _check_target(name, False)
        os.rename(temporary, name)


def _publish(temporary: str, name: str, force: bool) -> None:
    """Gives the file its final name; without `force` never that of another file."""
    # First of all: once the file has its name, nothing may fail that can fail before.
    directory = os.open(os.path.dirname(name), os.O_RDONLY | os.O_DIRECTORY)
    try:
        if force:
            os.rename(temporary, name)
        else:
            _link(temporary, name)
        _sync(directory)
    finally:
        os.close(directory)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RearrangeError(f"{message[:1].upper()}{message[1:]}.", f"Try {self.prog} --help.")


def parser() -> argparse.ArgumentParser:
    """The options. Those without a help text are there because makedumpfile has them in all its modes."""
    result = _Parser(
        "mdf-rearrange",
        usage="mdf-rearrange [-f] [--keep-partial] DUMPFILE < STREAM\n       mdf-rearrange {--check | --info} < STREAM",
        description="Turns a flattened dump stream, as makedumpfile -F writes it, into a dump file.",
        add_help=False,
    )
    add = result.add_argument
    add("-f", dest="force", action="store_true", help="Overwrite DUMPFILE if it exists.")
    add(
        "--keep-partial",
        action="store_true",
        help="Of a stream without its end, keep what came, as DUMPFILE-incomplete. The exit status is 1 all the same.",
    )
    add("--check", action="store_true", help="Write nothing: only verify that the stream is sound and complete.")
    add("--info", action="store_true", help="Write nothing: verify the stream, and print what it holds.")
    add(
        "--message-level",
        metavar="LEVEL",
        type=int,
        default=DEFAULT_LEVEL,
        help="Which messages to print: a sum of 2 (common messages) and 4 (errors). Other bits say nothing here.",
    )
    add("--check-params", action="store_true", help="Only check the parameters. Nothing is read.")
    add("-h", "--help", action="store_true", help="Print this help.")
    add("-v", "--version", action="store_true", help="Print the version.")
    for flag in ("-R", "-D", "--show-stats"):
        add(flag, action="store_true", help=argparse.SUPPRESS)
    add("--work-dir", help=argparse.SUPPRESS)
    add("dumpfile", metavar="DUMPFILE", nargs="?", help="The file to write. It has that name when it is complete.")
    return result


def _parse(argv: List[str]) -> argparse.Namespace:
    options = parser().parse_args(argv)
    if not (options.help or options.version):
        if options.check and options.info:
            raise RearrangeError("--check cannot be used with --info.")
        if (options.check or options.info) and (options.dumpfile or options.keep_partial):
            raise RearrangeError(
                "--check and --info write nothing: DUMPFILE and --keep-partial cannot be used with them."
            )
        if not (options.check or options.info or options.dumpfile):
            raise RearrangeError("DUMPFILE is missing.", "Try mdf-rearrange --help.")
    return options


def _verify(source: int, info: bool, say: Callable[[str], None]) -> None:
    _check_source(source)
    stream = Stream(source)
    head = Head(stream.buffer)
    try:
        receive(stream, head.write)
    finally:
        if info:
            say(f"The stream holds {head.describe()}.")
            say(f"Records: {stream.records}. Bytes of the stream: {stream.position}, of the dump file: {stream.size}.")
    say("The stream is complete.")


def _run(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    if options.check or options.info:
        _verify(0, options.info, say)
    else:
        rearrange(0, options.dumpfile, options.force, options.keep_partial)
        say(f"\nThe dumpfile is saved to {options.dumpfile}.")


def _line(error: BaseException, dumpfile: Optional[str]) -> str:
    """What went wrong; errors of the operating system are those of the output, the others have their own line."""
    if isinstance(error, OSError):
        return f"Can't write {dumpfile}: {error.strerror}."
    return "Interrupted." if isinstance(error, KeyboardInterrupt) else str(error)


def _print(stream: Optional[TextIO], text: str) -> None:
    with suppress(OSError, ValueError):  # A console that went away must not cost the dump.
        print(text.encode("utf-8", "backslashreplace").decode("utf-8"), file=stream, flush=True)


def _forget_unwritten() -> None:
    """What a stream did not take must not raise again when the interpreter ends, and change the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Lets the signals that end the process do so in the way of Ctrl-C, which leaves no file behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    handled = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Runs the command; returns its exit status."""
    level = DEFAULT_LEVEL
    dumpfile = None

    def say(text: str) -> None:
        if level & COMMON:
            _print(sys.stdout, text)

    try:
        options = _parse(sys.argv[1:] if argv is None else list(argv))
        level = options.message_level
        dumpfile = options.dumpfile
        if options.help or options.version:
            say(parser().format_help() if options.help else f"mdf-rearrange: version {__version__}")
        elif not options.check_params:
            with _signals_interrupt():
                _run(options, say)
            say("\nmakedumpfile Completed.")
    except (RearrangeError, OSError, KeyboardInterrupt) as error:
        if level & ERROR:
            _print(sys.stderr, "\n".join(filter(None, (_line(error, dumpfile), getattr(error, "hint", "")))))
        say("\nmakedumpfile Failed.")
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    finally:
        _forget_unwritten()
    return 0


if __name__ == "__main__":
    sys.exit(main())
