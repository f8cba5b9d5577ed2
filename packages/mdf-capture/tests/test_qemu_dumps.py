# SPDX-License-Identifier: GPL-2.0-or-later
"""Compressed dumps as QEMU writes them: read as they are, filtered again, and filtered as its ELF dumps are."""

from __future__ import annotations

from pathlib import Path

import pytest

from captures import DumpFile, counters, dump_of, pfns_of
from factory import ElfStyle, Spec, Vmcore, build, random_layout
from mdf.core.dumps import KdumpFile, open_dump
from mdf.core.kernel import Kernel


@pytest.fixture(scope="module")
def core() -> Vmcore:
    return build(random_layout(Spec(), seed=12))


@pytest.fixture(scope="module")
def stream(core: Vmcore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return core.qemu_kdump(tmp_path_factory.mktemp("qemu") / "stream")


def test_every_page_is_read_out_of_the_stream(core: Vmcore, stream: Path) -> None:
    with open_dump(stream) as dump:
        assert isinstance(dump, KdumpFile)
        pfns = [pfn for start, end in dump.runs() for pfn in range(start, end)]
        assert pfns == sorted(core.ram_pfns)
        assert all(dump.read(pfn << 12, 4096) == core.page(pfn) for pfn in pfns)
        assert (dump.timestamp, dump.utsname.strip(b"\0"), dump.level) == ((0, 0), b"x86_64", 1)


def test_the_kernel_is_found_although_the_phys_base_of_the_header_is_wrong(core: Vmcore, stream: Path) -> None:
    with open_dump(stream) as dump:
        assert dump.phys_base != core.machine.phys_base
        assert dump.info
        kernel = Kernel(dump, dump.info)
        assert str(kernel.release).startswith(core.spec.release[:3])
        assert kernel.machine.phys_base == core.machine.phys_base


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("level", [1, 31])
def test_the_stream_is_filtered_to_the_same_pages_as_qemus_elf_dump(
    level: int, compression: str | None, core: Vmcore, stream: Path, tmp_path: Path
) -> None:
    direct = core.elf(tmp_path / "elf", ElfStyle(qemu=True))
    wanted = dump_of(core, direct, tmp_path / "wanted", level, work_dir=tmp_path, compression=compression)
    report = dump_of(core, stream, tmp_path / "dump", level, compression=compression)
    assert counters(report) == counters(wanted)
    dump, same = DumpFile(tmp_path / "dump"), DumpFile(tmp_path / "wanted")
    assert pfns_of(dump.bitmap2) == pfns_of(same.bitmap2)
    assert all(dump.page(pfn) == same.page(pfn) for pfn in dump.pfns)
    assert dump.sub == same.sub
    if compression is None:
        assert dump.data == same.data
