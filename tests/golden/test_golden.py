# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps of real vmcores are the reference's, byte for byte, and so are the counters of the report."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from children import environment
from corpus import corpus_items, expected, vmcore
from mdf.capture import Options, capture
from mdf.capture.report import Report
from mdf.core.dumps import KdumpFile, open_dump

# A dump of Xen has other cases.
ITEMS = [item for item in corpus_items() if "levels" in expected(item)]
LEVELS = [(item, level) for item in ITEMS for level in expected(item)["levels"]]
ELF_LEVELS = [(item, level) for item in ITEMS for level in expected(item)["elf"]]
COUNTERS = "original excluded zero cache cache_private user free hwpoison offline remaining".split()


@pytest.fixture
def dumpfile(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "dump"
    yield path
    path.unlink(missing_ok=True)  # Hundreds of megabytes each.


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def counters(report: Report) -> dict[str, int]:
    values = asdict(report)
    return {name: values.get(name, getattr(report, name)) for name in COUNTERS} | {
        "hole": report.total - report.original,
        "total": report.total,
        "write_bytes": report.written,
    }


def bitmap2(path: Path) -> bytes:
    """The second bitmap as it is in the file, by the header's own numbers."""
    with path.open("rb") as file:
        header = file.read(464)
        # The right byte order makes header_version the smaller number.
        order = min("<>", key=lambda order: struct.unpack_from(f"{order}i", header, 8))
        block_size, sub_hdr_size, bitmap_blocks = struct.unpack_from(f"{order}iiI", header, 428)
        half = bitmap_blocks // 2 * block_size
        file.seek((1 + sub_hdr_size) * block_size + half)
        return file.read(half)


@pytest.mark.parametrize(("item", "level"), LEVELS)
def test_uncompressed_dump_bitmap_and_counters_are_the_references(item: str, level: str, dumpfile: Path) -> None:
    answer = expected(item)["levels"][level]
    report = capture(Options(vmcore(item), dumpfile, dump_levels=(int(level),)))
    assert counters(report) == answer["report"]
    bits = bitmap2(dumpfile)
    assert hashlib.sha256(bits).hexdigest() == answer["bitmap2_sha256"]
    assert int.from_bytes(bits, "little").bit_count() == answer["dumped"]
    assert (dumpfile.stat().st_size, sha256(dumpfile)) == (answer["size"], answer["sha256"])


@pytest.mark.parametrize(("item", "level"), ELF_LEVELS)
def test_elf_dump_and_counters_are_the_references(item: str, level: str, dumpfile: Path) -> None:
    answer = expected(item)["elf"][level]
    report = capture(Options(vmcore(item), dumpfile, dump_levels=(int(level),), elf=True))
    assert counters(report) == answer["report"]
    assert sha256(dumpfile) == answer["sha256"]


@pytest.mark.parametrize("item", ITEMS)
def test_dump_compressed_by_the_standard_librarys_zlib_is_the_references(
    item: str, dumpfile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if zlib.ZLIB_RUNTIME_VERSION != "1.2.13":
        pytest.skip(f"the reference's bytes are of zlib 1.2.13, this is {zlib.ZLIB_RUNTIME_VERSION}")
    monkeypatch.setenv("MDF_DEFLATE", "zlib")
    capture(Options(vmcore(item), dumpfile, dump_levels=(31,), compression="zlib"))
    answer = expected(item)["compressed"]["-c"]
    assert (dumpfile.stat().st_size, sha256(dumpfile)) == (answer["size"], answer["sha256"])


@pytest.mark.parametrize("deflate", ["libdeflate", "zlib-ng"])
@pytest.mark.parametrize("item", ITEMS)
def test_any_other_deflate_gives_the_same_pages_and_at_most_2_percent_more(
    item: str, deflate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"libdeflate": "deflate", "zlib-ng": "zlib_ng"}[deflate])
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    capture(Options(vmcore(item), plain, dump_levels=(31,)))
    monkeypatch.setenv("MDF_DEFLATE", deflate)
    capture(Options(vmcore(item), packed, dump_levels=(31,), compression="zlib"))
    assert packed.stat().st_size <= 1.02 * expected(item)["compressed"]["-c"]["size"]
    monkeypatch.setenv("MDF_DEFLATE", "zlib")
    assert_same_pages(plain, packed)


def assert_same_pages(one: Path, other: Path) -> None:
    with open_dump(one) as first, open_dump(other) as second:
        assert isinstance(first, KdumpFile)
        assert isinstance(second, KdumpFile)
        runs: list[Any] = list(first.runs())
        assert runs == list(second.runs())
        for start, end in runs:
            assert pages(first, start, end) == pages(second, start, end)


def pages(dump: KdumpFile, start: int, end: int) -> bytes:
    buffer = bytearray((end - start) * dump.page_size)
    dump.read_pages(start, end, memoryview(buffer))
    return bytes(buffer)


@pytest.mark.parametrize("item", ITEMS)
def test_filtering_a_dump_again_gives_what_filtering_the_vmcore_gives(item: str, tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    capture(Options(vmcore(item), first, dump_levels=(3,), compression="zlib"))
    report = capture(Options(first, again, dump_levels=(31,)))
    assert report.level == 31
    assert sha256(again) == expected(item)["levels"]["31"]["sha256"]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_processes_gives_the_same_dump(processes: int, tmp_path: Path) -> None:
    item = ITEMS[0]
    one, many = tmp_path / "one", tmp_path / "many"
    capture(Options(vmcore(item), one, dump_levels=(31,), compression="zlib"))
    capture(Options(vmcore(item), many, dump_levels=(31,), compression="zlib", num_threads=processes))
    assert sha256(one) == sha256(many)


@pytest.mark.parametrize("item", ITEMS)
def test_flattened_stream_is_the_references_record_by_record(item: str, tmp_path: Path) -> None:
    stream = tmp_path / "stream"
    with stream.open("wb") as file:
        command = [sys.executable, "-m", "makedumpfile", "-F", "-d", "31", str(vmcore(item))]
        subprocess.run(command, stdout=file, check=True, env=environment())
    answer = expected(item)["flattened_d31"]
    assert (stream.stat().st_size, sha256(stream)) == (answer["size"], answer["sha256"])
