# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of real vmcores, and of dumps made of them, are the reference's, byte for byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from corpus import corpus_items, dmesg, expected, vmcore
from mdf.capture import Options as DumpOptions
from mdf.capture import capture
from mdf.dmesg import Options, save_log

pytestmark = pytest.mark.usefixtures("supported")
# Those of Linux alone: a hypervisor's dump has other options.
ITEMS = [item for item in corpus_items() if not item.startswith("xen")]


@pytest.mark.parametrize("item", ITEMS)
def test_the_log_is_the_references(item: str, tmp_path: Path) -> None:
    report = save_log(Options(vmcore(item), tmp_path / "log"))
    written = (tmp_path / "log").read_bytes()
    assert written == dmesg(item)
    assert hashlib.sha256(written).hexdigest() == expected(item)["dmesg"]["sha256"]
    assert report.written == len(written)
    assert report.damage.count == 0


@pytest.mark.parametrize("item", ITEMS)
def test_the_log_survives_the_highest_dump_level(item: str, tmp_path: Path) -> None:
    capture(DumpOptions(vmcore(item), tmp_path / "dump", dump_levels=(31,), compression="zlib"))
    save_log(Options(tmp_path / "dump", tmp_path / "log"))
    assert (tmp_path / "log").read_bytes() == dmesg(item)


@pytest.mark.parametrize("item", ITEMS)
def test_json_has_the_same_records(item: str, tmp_path: Path) -> None:
    report = save_log(Options(vmcore(item), tmp_path / "log", json=True))
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(records) == report.records
    lines = [line for record in records for line in record["text"].split("\n")]
    assert len(lines) == expected(item)["dmesg"]["lines"] == dmesg(item).count(b"\n")
