# SPDX-License-Identifier: GPL-2.0-or-later
"""Old logs whose size, or that of a line, is more than any kernel has: neither memory nor time follow it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from factory import MIB, Model, Ram, Spec, Vmcore, build
from factory.printk import PlainRing
from mdf.core.dumps import open_dump
from mdf.core.errors import FormatError
from mdf.core.kernel import Kernel
from mdf.dmesg import Record, read_log

SPEC = Spec(release="2.6.32", ram=(Ram(1 * MIB, 5 * MIB),), model=Model.FLATMEM)


def machine(size: int, text: bytes) -> Vmcore:
    ring = PlainRing(SPEC, size)
    ring.append(text)
    return ring.put_into(build(SPEC))


def records(path: Path) -> list[Record]:
    with open_dump(path) as dump:
        assert dump.info is not None
        return list(read_log(Kernel(dump, dump.info)))


def test_a_ring_larger_than_the_file_is_refused_although_memory_goes_on(tmp_path: Path) -> None:
    """What a segment has no data of reads as zeros: there could be a log of any size."""
    core = machine(1024, b"text\n")
    at = core.symbols["log_buf_len"] - core.machine.image + core.machine.image_paddr
    core.machine.memory.write_integer(at, 1 << 28, 4)
    path = core.elf(tmp_path / "vmcore")
    data = bytearray(path.read_bytes())
    headers = [64 + 56 * number for number in range(struct.unpack_from("<H", data, 56)[0])]
    struct.pack_into("<Q", data, headers[-1] + 40, 1 << 40)  # p_memsz
    path.write_bytes(data)
    with pytest.raises(FormatError, match="Impossible log_buf: 0x10000000 bytes"):
        records(path)


def test_a_ring_without_a_newline_is_cut_into_lines(tmp_path: Path) -> None:
    found = records(machine(1 << 18, b"x" * 200_000).elf(tmp_path / "vmcore"))
    assert b"".join(record.text for record in found) == b"x" * 200_000
    assert max(len(record.text) for record in found) < 70_000
