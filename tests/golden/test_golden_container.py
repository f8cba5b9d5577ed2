# SPDX-License-Identifier: GPL-2.0-or-later
"""A real ppc64le kernel's memory in a big-endian file, as QEMU writes it, is read as what it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from corpus import corpus_items, dmesg, vmcore
from factory.container import make_headers_big_endian
from mdf.capture import Options, capture
from mdf.core.dumps import open_dump
from mdf.dmesg import Options as LogOptions
from mdf.dmesg import save_log

ITEMS = corpus_items("ppc64le")


@pytest.mark.parametrize("item", ITEMS)
def test_a_big_endian_file_around_a_little_endian_kernel_gives_the_same_dump_and_log(item: str, tmp_path: Path) -> None:
    big, plain, dump, again = (tmp_path / name for name in ("big", "plain", "dump", "again"))
    subprocess.run(["cp", "--sparse=always", vmcore(item), big], check=True)
    make_headers_big_endian(big)
    capture(Options(vmcore(item), plain, dump_levels=(31,)))
    capture(Options(big, dump, dump_levels=(31,)))
    with open_dump(plain) as expected, open_dump(dump) as made:
        assert made.byteorder == "little"
        assert (made.info, made.nr_cpus) == (expected.info, expected.nr_cpus)
        notes = made.notes.data
        theirs = expected.notes.data
    # Only the notes' own headers are different.
    assert plain.read_bytes() == dump.read_bytes().replace(notes, theirs)
    capture(Options(dump, again, dump_levels=(31,)))
    assert again.read_bytes() == dump.read_bytes()
    for path in (big, dump):
        save_log(LogOptions(path, tmp_path / f"{path.name}.log"))
        assert (tmp_path / f"{path.name}.log").read_bytes() == dmesg(item)
    shutil.rmtree(tmp_path)
