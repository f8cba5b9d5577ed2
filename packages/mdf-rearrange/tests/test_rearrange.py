# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams made here, against a plain reading of them: what a dump file holds, and that a bad stream makes none."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from mdf import rearrange
from mdf.rearrange import RearrangeError
from streams import END, HEADER, Record, applied, body, said, size_of, stream

SEEDS = range(60)


def some_records(seed: int) -> list[Record]:
    """Records that overlap, leave gaps, go backwards, and hold zeros that begin and end anywhere."""
    choose = random.Random(seed)

    def piece() -> bytes:
        size = choose.choice((1, 24, 384, 4096, choose.randrange(1, 14000)))
        return choose.choice((bytes(size), choose.randbytes(size), b"\0" + choose.randbytes(size), b"\7" * size))

    return [
        (
            choose.choice((0, 4096, 8192, choose.randrange(60000))),
            b"".join(piece() for _ in range(choose.randint(1, 3))),
        )
        for _ in range(choose.randint(1, 12))
    ]


@contextmanager
def source_of(data: bytes, tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "stream"
    path.write_bytes(data)
    source = os.open(path, os.O_RDONLY)
    try:
        yield source
    finally:
        os.close(source)
        path.unlink()


def run(data: bytes, tmp_path: Path, *, force: bool = False, keep_partial: bool = False) -> Path:
    """Rearranges `data` into tmp_path/dump; whatever happens, no other file may be left."""
    dumpfile = tmp_path / "dump"
    with source_of(data, tmp_path) as source:
        rearrange.rearrange(source, str(dumpfile), force, keep_partial)
    assert list(tmp_path.iterdir()) == [dumpfile]
    return dumpfile


def refused(data: bytes, tmp_path: Path) -> str:
    """The line with which `data` is refused, after which no file is there."""
    with pytest.raises(RearrangeError) as caught:
        run(data, tmp_path)
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


@contextmanager
def small_reads(seed: int) -> Iterator[None]:
    """A buffer that a record may exceed, and reads that give as little as a pipe may give."""
    choose = random.Random(seed)
    readv = os.readv

    def short(source: int, views: list[memoryview]) -> int:
        return readv(source, [views[0][: choose.choice((1, 15, 4096, 1 << 20))]])

    with mock.patch.object(rearrange, "BUFFER_SIZE", choose.choice((4096, 5000, 65536))), mock.patch("os.readv", short):
        yield


@pytest.mark.parametrize("seed", SEEDS)
def test_any_order_of_records_gives_the_file_in_which_later_ones_win(seed: int, tmp_path: Path) -> None:
    records = some_records(seed)
    assert run(stream(records), tmp_path).read_bytes() == applied(records)


@pytest.mark.parametrize("seed", SEEDS)
def test_short_reads_and_a_small_buffer_give_the_same_file(seed: int, tmp_path: Path) -> None:
    records = some_records(seed)
    with small_reads(seed):
        assert run(stream(records), tmp_path).read_bytes() == applied(records)


@pytest.mark.parametrize("seed", SEEDS)
def test_short_writes_are_continued(seed: int, tmp_path: Path) -> None:
    pwrite = os.pwrite
    records = some_records(seed)
    with mock.patch("os.pwrite", lambda file, data, offset: pwrite(file, data[:1000], offset)):
        assert run(stream(records), tmp_path).read_bytes() == applied(records)


def cut(records: list[Record], size: int) -> list[Record]:
    """What `size` bytes of the records' stream hold of them, the last one perhaps in part."""
    kept = []
    for offset, data in records:
        size -= 16
        if size > 0:
            kept.append((offset, data[:size]))
        size -= len(data)
    return kept


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stream_that_ends_early_leaves_no_file_or_what_came_under_another_name(seed: int, tmp_path: Path) -> None:
    records = some_records(seed)
    size = random.Random(seed).randrange(len(body(records)) + len(END))
    data = stream(records)[: len(HEADER) + size]
    assert refused(data, tmp_path) == (
        f"The stream ended after {len(data)} bytes without its end marker: the dump is incomplete."
    )
    with pytest.raises(RearrangeError) as caught:
        run(data, tmp_path, keep_partial=True)
    kept = cut(records, size)
    partial = tmp_path / "dump-incomplete"
    assert list(tmp_path.iterdir()) == [partial] * bool(kept)
    if kept:
        assert partial.read_bytes() == applied(kept)
        assert caught.value.hint == f"What came is kept in {partial}: {len(applied(kept))} bytes."


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_stream_gives_what_it_says_or_no_file(seed: int, tmp_path: Path) -> None:
    choose = random.Random(seed)
    data = bytearray(stream([(offset, data[:40]) for offset, data in some_records(seed)]))
    position = choose.choice((choose.randrange(24), len(HEADER) + choose.randrange(len(data) - len(HEADER))))
    data[position] ^= 1 << choose.randrange(8)
    records = said(bytes(data), 1 << 52)
    try:
        result = run(bytes(data), tmp_path)
    except (RearrangeError, OSError):  # An offset may be beyond what the file system can have.
        assert list(tmp_path.iterdir()) == []
        assert records is None or size_of(records) > 1 << 40
        return
    assert records is not None
    size = size_of(records)
    assert result.stat().st_size == size
    if size < 1 << 20:
        assert result.read_bytes() == applied(records)


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (-1, 8),
        (8, -1),
        (0, 0),
        (-2, -2),
        (-(1 << 63), 1),
        (0, 1 << 31),
        (0, 1 << 62),
        ((1 << 52) - 1, 2),
        ((1 << 63) - 1,) * 2,
    ],
)
def test_an_absurd_record_is_refused_before_anything_of_it_is_written(offset: int, size: int, tmp_path: Path) -> None:
    data = HEADER + body([(0, b"x" * 84)]) + struct.pack(">qq", offset, size) + bytes(100) + END
    assert refused(data, tmp_path) == (
        f"The stream is damaged: its record at byte 4196 has offset {offset} and size {size}."
    )


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "Standard input is empty."),
        (b"\x7fELF" * 9999, "Standard input is not a flattened dump: its first bytes are not those of one."),
        (
            b"ssh: connect to host: refused\n" * 2,
            "Standard input is not a flattened dump: its first bytes are not those of one.",
        ),
        (
            b"makedumpfile" + b"x" * 9999,
            "Standard input is not a flattened dump: its first bytes are not those of one.",
        ),
        (b"makedump", "The stream ended after 8 bytes without its end marker: the dump is incomplete."),
        (HEADER[:4000], "The stream ended after 4000 bytes without its end marker: the dump is incomplete."),
        (HEADER[:23] + b"\2" + HEADER[24:] + END, "The stream has type 2 at byte 16, not 1: it cannot be rearranged."),
    ],
)
def test_what_does_not_begin_as_a_stream_is_refused_before_a_file_is_made(
    data: bytes, line: str, tmp_path: Path
) -> None:
    with mock.patch("tempfile.mkstemp") as made:
        assert refused(data, tmp_path) == line
    made.assert_not_called()


def test_the_version_in_the_header_does_not_matter(tmp_path: Path) -> None:
    data = HEADER[:24] + struct.pack(">q", 7) + HEADER[32:] + body([(0, b"dump")]) + END
    assert run(data, tmp_path).read_bytes() == b"dump"


def test_what_follows_the_end_marker_is_not_read_as_records(tmp_path: Path) -> None:
    assert run(stream([(0, b"dump")]) + body([(0, b"DUMP")]), tmp_path).read_bytes() == b"dump"


def test_a_stream_without_records_gives_an_empty_file(tmp_path: Path) -> None:
    assert run(HEADER + END, tmp_path).read_bytes() == b""


def allocated(records: list[Record], tmp_path: Path) -> int:
    return run(stream(records), tmp_path).stat().st_blocks * 512


@pytest.mark.parametrize("shift", [0, 1, 4095])
def test_zeros_of_records_and_gaps_are_holes(shift: int, tmp_path: Path) -> None:
    zeros = bytes(1 << 20)
    records = [(shift, b"a" * 4096), (shift + 4096, zeros + b"b" + zeros), (shift + (8 << 20), b"c"), (9 << 20, zeros)]
    assert allocated(records, tmp_path) <= 5 * 4096
    assert (tmp_path / "dump").stat().st_size == 10 << 20


def test_zeros_that_replace_data_are_written_and_others_stay_holes(tmp_path: Path) -> None:
    records = [(0, b"a" * 4096), (1 << 20, b"b"), (0, bytes(1 << 20))]
    assert allocated(records, tmp_path) <= 2 * 4096
    assert (tmp_path / "dump").read_bytes() == bytes(1 << 20) + b"b"


def test_an_existing_file_stays_as_it_is_without_force(tmp_path: Path) -> None:
    dumpfile = tmp_path / "dump"
    dumpfile.write_bytes(b"old")
    with pytest.raises(RearrangeError, match="dump exists") as caught:
        run(stream([(0, b"new")]), tmp_path)
    assert caught.value.hint == "-f overwrites it."
    assert dumpfile.read_bytes() == b"old"
    assert run(stream([(0, b"new")]), tmp_path, force=True).read_bytes() == b"new"


def test_a_bad_stream_leaves_the_existing_file_with_force(tmp_path: Path) -> None:
    dumpfile = tmp_path / "dump"
    dumpfile.write_bytes(b"old")
    with pytest.raises(RearrangeError):
        run(HEADER, tmp_path, force=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_overwritten_without_force(links: bool, tmp_path: Path) -> None:
    dumpfile = tmp_path / "dump"
    finish: Callable[[int, int], None] = rearrange._finish

    def slow(file: int, size: int) -> None:
        finish(file, size)
        dumpfile.write_bytes(b"another")

    link = os.link if links else mock.Mock(side_effect=PermissionError(1, "no hard links here"))
    with (
        mock.patch.object(rearrange, "_finish", slow),
        mock.patch("os.link", link),
        pytest.raises(RearrangeError, match="dump exists"),
    ):
        run(stream([(0, b"new")]), tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"another"]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path) -> None:
    with mock.patch("os.link", side_effect=PermissionError(1, "no hard links here")):
        assert run(stream([(0, b"new")]), tmp_path).read_bytes() == b"new"


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    assert run(stream([(0, b"secrets")]), tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_link_is_followed_with_force(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to("elsewhere/dump")
    with source_of(stream([(0, b"new")]), tmp_path) as source:
        with pytest.raises(RearrangeError, match="link exists"):
            rearrange.rearrange(source, str(link))
        rearrange.rearrange(source, str(link), force=True)
    assert link.is_symlink()
    assert (tmp_path / "elsewhere/dump").read_bytes() == b"new"


@pytest.mark.parametrize("target", ["/dev/null", "/"])
def test_what_is_not_a_regular_file_is_never_replaced(target: str, tmp_path: Path) -> None:
    with (
        source_of(stream([(0, b"new")]), tmp_path) as source,
        pytest.raises(RearrangeError, match="not a regular file"),
    ):
        rearrange.rearrange(source, target, force=True)


def test_a_full_disk_leaves_no_file_or_what_fitted(tmp_path: Path) -> None:
    pwrite = os.pwrite

    def full(file: int, data: memoryview, offset: int) -> int:
        if offset >= 4096:
            raise OSError(28, "No space left on device")
        return pwrite(file, data, offset)

    data = stream([(0, b"a" * 4096), (4096, b"b" * 4096)])
    with mock.patch("os.pwrite", full):
        with pytest.raises(OSError, match="No space left"):
            run(data, tmp_path)
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(RearrangeError, match=r"^Can't write .*dump: No space left on device\.$"):
            run(data, tmp_path, keep_partial=True)
    assert [path.name for path in tmp_path.iterdir()] == ["dump-incomplete"]
    assert (tmp_path / "dump-incomplete").read_bytes().startswith(b"a" * 4096)


def test_the_data_is_on_the_disk_before_the_file_has_its_name(tmp_path: Path) -> None:
    with (
        mock.patch("os.fsync", side_effect=OSError(5, "Input/output error")),
        pytest.raises(OSError, match="Input/out"),
    ):
        run(stream([(0, b"dump")]), tmp_path)
    assert list(tmp_path.iterdir()) == []
