# SPDX-License-Identifier: GPL-2.0-or-later
"""libkdumpfile reads our dump."""

from collections.abc import Iterator

import pytest

from corpus import expected, vmcore
from judges import programs
from judges.kdumpfile import PHYSICAL, VIRTUAL, Kdumpfile
from judges.programs import Makedumpfile

ITEM = "x86_64-6.1-kdump"
PAGE = 4096
SAME_ATTRIBUTES = (
    "arch.name",
    "arch.page_size",
    "arch.ptr_size",
    "arch.byte_order",
    "cpu.number",
    "linux.phys_base",
    "linux.uts.release",
    "linux.version_code",
    "linux.vmcoreinfo.lines.BUILD-ID",
    "linux.vmcoreinfo.lines.KERNELOFFSET",
    "linux.vmcoreinfo.SYMBOL.init_uts_ns",
    "max_pfn",
)


@pytest.fixture(scope="module")
def raw() -> Iterator[Kdumpfile]:
    with Kdumpfile(vmcore(ITEM)) as opened:
        yield opened


@pytest.mark.parametrize("options", [("-c", "-d31"), ("-E", "-d31")], ids=" ".join)
def test_our_dump_has_the_attributes_of_the_vmcore(
    ours: Makedumpfile, raw: Kdumpfile, options: tuple[str, ...]
) -> None:
    with Kdumpfile(ours.dump(vmcore(ITEM), *options)) as dump:
        assert {key: dump.attribute(key) for key in SAME_ATTRIBUTES} == {
            key: raw.attribute(key) for key in SAME_ATTRIBUTES
        }


@pytest.mark.parametrize(("option", "codec"), [("", ""), ("-c", ""), ("-l", "lzo"), ("-p", "snappy"), ("-z", "zstd")])
def test_our_dump_holds_the_expected_number_of_pages_and_each_is_the_vmcores(
    ours: Makedumpfile, raw: Kdumpfile, option: str, codec: str
) -> None:
    if codec and not ours.has(codec):
        programs.skip(f"{codec} is disabled", "pip install 'mdf-capture[all]'")
    pages = 0
    with Kdumpfile(ours.dump(vmcore(ITEM), *filter(None, [option]), "-d31")) as dump:
        for pfn in range(int(raw.attribute("max_pfn"))):
            page = dump.read(PHYSICAL, pfn * PAGE, PAGE)
            if page is not None:
                assert page == raw.read(PHYSICAL, pfn * PAGE, PAGE), hex(pfn)
                pages += 1
    assert pages == expected(ITEM)["levels"]["31"]["dumped"]


@pytest.mark.parametrize("options", [("-c", "-d31"), ("-E", "-d31")], ids=" ".join)
def test_kernel_addresses_are_translated_by_the_page_tables_in_our_dump(
    ours: Makedumpfile, options: tuple[str, ...]
) -> None:
    with Kdumpfile(ours.dump(vmcore(ITEM), *options)) as dump:
        address = int(dump.attribute("linux.vmcoreinfo.SYMBOL.init_uts_ns"))
        uts = dump.read(VIRTUAL, address, 390)
        assert uts is not None
        assert b"6.1.0-56-amd64" in uts
