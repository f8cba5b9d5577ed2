# SPDX-License-Identifier: GPL-2.0-or-later
"""-X on hosts of every generation: which pages stay is what the hypervisor's declarations say."""

from __future__ import annotations

import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from captures import DumpFile, pfns_of
from factory.xen import ALLOCATED, BLOCK, HEAP, PageInfo, XenHost, XenSpec
from mdf.capture import Options
from mdf.capture.report import Report
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError, FormatError, MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Level, Messages
from mdf.xen.console import read_console
from mdf.xen.hypervisor import Hypervisor
from mdf.xen.options import XenOptions
from mdf.xen.run import dump_host, hypervisor_log
from oracle.image import open_image
from oracle.xen import XenImage, xen_info

STATES = {"old": (55, 57), "new": (58, 60)}
NOT_ALLOCATED = 1 << 32  # The factory's mark for Xen 3's allocation bitmap.
GUEST = 6 * BLOCK


def state(layout: str, value: int) -> int:
    return value << STATES[layout][0]


def mixed(layout: str) -> dict[int, PageInfo]:
    """One page of everything in the guest's block."""
    broken = 1 << STATES[layout][1]
    kinds = [
        PageInfo(state(layout, 3)),
        PageInfo(state(layout, 3) | ALLOCATED, "dom0"),  # Needs scrubbing; what would be the owner is none.
        PageInfo(state(layout, 2)),
        PageInfo(state(layout, 1) | ALLOCATED | 1, "dom0"),
        PageInfo(state(layout, 1) | ALLOCATED | 1, "domU"),
        PageInfo(broken | ALLOCATED, "dom0"),
        PageInfo(HEAP | ALLOCATED | 1, "domU"),
        PageInfo(HEAP | broken),
        PageInfo(0),
        PageInfo(1, "domU"),
        PageInfo(ALLOCATED | 1),
        PageInfo(ALLOCATED | 1, "dom0"),
        PageInfo(ALLOCATED | 1, "domU"),
        PageInfo(ALLOCATED | 1, "other"),
        PageInfo(ALLOCATED | 1, "dom_io"),
        PageInfo(ALLOCATED | 1, "dom_xen"),
        PageInfo(HEAP | ALLOCATED | 1, "dom_xen"),
    ]
    return dict(enumerate(kinds, GUEST + 5)) | {0: PageInfo(ALLOCATED | 1, "dom_io"), 1: PageInfo(state(layout, 3))}


def kept(host: XenHost, layout: str) -> set[int]:
    """By what was declared; a page_info that shares its page of the table with one that is not there, is not there."""
    size = host.sizes[0]

    def readable(pfn: int) -> bool:
        start = host.xen.frame_table + host.xen.index(pfn) * size
        return not {start // 4096, (start + size - 1) // 4096} & host.absent

    def stays(pfn: int) -> bool:
        info = host.page_info(pfn)
        if host.xen.version < (4, 0):
            if info.count == NOT_ALLOCATED:
                return False
            in_heap = pfn < (host.xen.xen + 1) * BLOCK
            return info.owner is None or in_heap or bool(info.count & 0xFFFF and info.owner == "dom0")
        if info.count & HEAP:
            return True
        low, broken = STATES[layout]
        if info.count >> low & 3 >= 2 or info.count >> broken & 1:
            return False
        return not info.count & ALLOCATED or info.owner in (None, "dom0")

    return {pfn for pfn in host.ram_pfns if readable(pfn) and stays(pfn)}


def dumped(host: XenHost, folder: Path, messages: Messages | None = None, **options: Any) -> tuple[set[int], Report]:
    vmcore = host.elf(folder / "vmcore")
    common = {name: options.pop(name) for name in list(options) if name in Options.__dataclass_fields__}
    asked = Options(vmcore, folder / "dump", force=True, **common)
    report = dump_host(XenOptions(asked, **{"exclude_user_domains": True, **options}), messages)
    return pfns_of(DumpFile(folder / "dump").bitmap2), report


GENERATIONS = [
    ((4, 0), ".1", "old"),
    ((4, 2), ".5", "old"),
    ((4, 3), ".0", "old"),
    ((4, 12), ".4", "old"),
    ((4, 13), ".4", "old"),
    ((4, 13), ".5", "new"),
    ((4, 14), ".5-lab", "old"),
    ((4, 16), ".1", "old"),
    ((4, 16), ".2", "new"),
    ((4, 17), ".5", "new"),
    ((4, 20), ".4-pre", "new"),
    ((4, 22), "-unstable", "new"),
    ((5, 0), ".0", "new"),
]


@pytest.mark.parametrize(("version", "extra", "layout"), GENERATIONS)
def test_pages_of_every_kind(version: tuple[int, int], extra: str, layout: str, tmp_path: Path) -> None:
    host = XenHost(XenSpec(version=version, extra=extra, pages=mixed(layout)))
    pages, report = dumped(host, tmp_path)
    assert pages == kept(host, layout)
    assert GUEST not in pages
    assert sum(count for _, count in report.further) == len(host.ram_pfns) - len(pages)


@pytest.mark.parametrize(("version", "extra", "layout"), GENERATIONS)
def test_without_free_pages_the_version_tells_the_layout(
    version: tuple[int, int], extra: str, layout: str, tmp_path: Path
) -> None:
    out = StringIO()
    broken = PageInfo(1 << STATES[layout][1] | ALLOCATED | 1, "dom0")
    host = XenHost(XenSpec(version=version, extra=extra, pages={GUEST + 5: broken}))
    pages, _ = dumped(host, tmp_path, Messages(Level.COMMON, stdout=out))
    assert f"the {layout} layout, by its version, {version[0]}.{version[1]}{extra}." in out.getvalue()
    assert pages == kept(host, layout)


@pytest.mark.parametrize(("extra", "layout"), [(".5", "new"), (".2-backported", "old")])
def test_free_pages_tell_the_layout_before_the_version(extra: str, layout: str, tmp_path: Path) -> None:
    """Distributions fixed older releases without changing their number."""
    version = (4, 14) if layout == "new" else (4, 16)
    out = StringIO()
    host = XenHost(XenSpec(version=version, extra=extra, pages=mixed(layout)))
    pages, _ = dumped(host, tmp_path, Messages(Level.COMMON, stdout=out))
    assert f"the {layout} layout, by its free pages." in out.getvalue()
    assert pages == kept(host, layout)


@pytest.mark.parametrize("layout", ["old", "new"])
def test_the_layout_that_is_asked_for_is_taken(layout: str, tmp_path: Path) -> None:
    host = XenHost(XenSpec(pages=mixed("new")))
    pages, _ = dumped(host, tmp_path, page_state=layout)
    assert pages == kept(host, layout)


def test_a_free_page_that_needs_scrubbing_is_free_by_any_of_its_marks(tmp_path: Path) -> None:
    marks = [PageInfo(3 << 58 | mark) for mark in (0, 1 << 63, 1 << 57)]
    host = XenHost(XenSpec(version=(4, 22), pages=dict(enumerate(marks, GUEST))))
    pages, _ = dumped(host, tmp_path)
    assert not {GUEST, GUEST + 1, GUEST + 2} & pages


@pytest.mark.parametrize("version", [(3, 1), (3, 3), (3, 4)])
def test_xen_3_has_an_allocation_bitmap_and_a_heap(version: tuple[int, int], tmp_path: Path) -> None:
    kinds = [
        PageInfo(NOT_ALLOCATED),
        PageInfo(1),
        PageInfo(1, "dom0"),
        PageInfo(0, "dom0"),
        PageInfo(1 << 16, "dom0"),
        PageInfo(1, "domU"),
        PageInfo(1, "dom_io"),
    ]
    pages = dict(enumerate(kinds, GUEST + 5)) | {0: PageInfo(1, "domU"), 1: PageInfo(NOT_ALLOCATED)}
    host = XenHost(XenSpec(version=version, crash_info=1, pages=pages, unmapped=frozenset({GUEST + 300})))
    found, _ = dumped(host, tmp_path, xen_phys_start=host.phys_start)
    assert found == kept(host, "")
    assert {0, GUEST + 6, GUEST + 7} <= found
    assert not {1, GUEST + 5, GUEST + 8, GUEST + 300} & found


def test_page_info_that_does_not_exist_means_no_page(tmp_path: Path) -> None:
    host = XenHost(XenSpec(guests=(6, 7), pages=mixed("new"), unmapped=frozenset({GUEST + 200, 7 * BLOCK})))
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "new")
    assert GUEST + 200 not in pages


@pytest.mark.parametrize(("bit", "bits"), [(18, 6), (20, 4), (24, 2)])
def test_indexes_are_without_the_holes_in_memory(bit: int, bits: int, tmp_path: Path) -> None:
    far = (1 << bit + bits) // BLOCK
    owned = {far * BLOCK + 7: PageInfo(ALLOCATED | 1, "dom0"), far * BLOCK + 8: PageInfo(HEAP | ALLOCATED)}
    host = XenHost(XenSpec(guests=(6, far), hole=(bit, bits), pages=mixed("new") | owned))
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "new")
    assert set(owned) <= pages


def test_a_hole_in_memory_without_squeezed_indexes(tmp_path: Path) -> None:
    far = (1 << 22) // BLOCK
    host = XenHost(XenSpec(guests=(6, far), pages={far * BLOCK + 7: PageInfo(ALLOCATED | 1, "dom0")}))
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "new")


def test_xen_built_for_large_machines_has_its_frame_table_elsewhere(tmp_path: Path) -> None:
    host = XenHost(XenSpec(bigmem=True, pages=mixed("new")))
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "new")


@pytest.mark.parametrize("version", [(4, 2), (4, 3), (4, 20)])
def test_the_frame_table_is_found_without_its_symbol(version: tuple[int, int], tmp_path: Path) -> None:
    host = XenHost(XenSpec(version=version, frame_table_symbol=False, pages=mixed("new")))
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "new")


def test_the_oracle_agrees(tmp_path: Path) -> None:
    host = XenHost(XenSpec(pages=mixed("new"), unmapped=frozenset({GUEST + 200})))
    image = open_image(host.elf(tmp_path / "vmcore"))
    xen = XenImage(image, xen_info(image), host.phys_start, host.xen.frame_table)
    dom0 = xen.dom0_owners()
    assert {pfn for pfn in host.ram_pfns if xen.kept(pfn, "new", dom0)} == kept(host, "new")


@pytest.mark.parametrize(("length", "lines"), [(3, 1), (100, 30), (4096, 900), (9000, 2000)])
def test_the_hypervisors_log_is_what_its_ring_has(length: int, lines: int, tmp_path: Path) -> None:
    text = b"".join(b"%d\n" % number for number in range(lines))[:length]
    assert log_of(XenHost(XenSpec(console=text)), tmp_path) == text[-4096:]


def log_of(host: XenHost, folder: Path) -> bytes:
    names = ("conring", "conring_size", "conringp")
    symbols = Vmcoreinfo({f"SYMBOL({name})": f"{host.symbols[name]:x}" for name in names})
    with open_dump(host.elf(folder / "vmcore")) as dump:
        return read_console(Hypervisor(dump, Vmcoreinfo.parse(host.vmcoreinfo_xen.encode())), symbols)


def test_an_impossible_size_of_the_hypervisors_log(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="Impossible size of the hypervisor's console ring: 0x1001"):
        log_of(broken(XenHost(XenSpec()), "conring_size", 0x1001), tmp_path)


def test_the_hypervisors_log_needs_symbols(tmp_path: Path) -> None:
    with pytest.raises(MissingInfoError, match="does not say where its log is"):
        hypervisor_log(XenOptions(Options(tmp_path / "vmcore")))


# Bad input: what is wrong, and the line it gets.


def broken(host: XenHost, name: str, value: int) -> XenHost:
    """A variable of the hypervisor's gets another value."""
    paddr = host.symbols[name] - host.xen.text + host.phys_start
    host.memory.write_integer(paddr, value, 8)
    return host


def test_a_list_of_domains_without_end(tmp_path: Path) -> None:
    host = XenHost(XenSpec())
    first, last = (host.addresses[name] for name in ("dom0", "other"))
    host.memory.write_integer(last + 144, host.directmap(first), 8)
    with pytest.raises(FormatError, match="list of domains has no end"):
        dumped(host, tmp_path)


@pytest.mark.parametrize("name", ["domain_list", "dom_xen", "dom_io"])
def test_a_domain_that_is_not_in_memory(name: str, tmp_path: Path) -> None:
    with pytest.raises(AddressError, match=r"Can't get the value of .* domain_id"):
        dumped(broken(XenHost(XenSpec()), name, 0xFFFF830FF0000000), tmp_path)


def test_page_tables_that_are_a_loop_cost_no_time(tmp_path: Path) -> None:
    host = XenHost(XenSpec(pages=mixed("new")))
    root = host.tables.root
    for slot in range(263, 272):  # Where more memory would be mapped.
        host.memory.write_integer(root + 8 * slot, root | 1, 8)
    started = time.monotonic()
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "new")
    assert time.monotonic() - started < 20


def test_no_domain_0_would_mean_no_page(tmp_path: Path) -> None:
    host = XenHost(XenSpec())
    host.memory.write_integer(host.addresses["dom0"], 7, 2)
    with pytest.raises(FormatError, match="has no domain 0"):
        dumped(host, tmp_path)


def test_a_frame_table_symbol_outside_of_the_image(tmp_path: Path) -> None:
    host = XenHost(XenSpec())
    host.symbols["frame_table"] = 0xFFFF87FFF0000000
    with pytest.raises(AddressError, match="0xffff87fff0000000 is not in the hypervisor's image"):
        dumped(host, tmp_path)


def test_a_frame_table_that_is_elsewhere_would_mean_no_page(tmp_path: Path) -> None:
    host = broken(XenHost(XenSpec()), "frame_table", 0xFFFF82E100000000)
    with pytest.raises(AddressError, match="Can't read anything of the hypervisor's frame table at 0xffff82e100000000"):
        dumped(host, tmp_path)


@pytest.mark.parametrize("crash_info", [0, 1])
def test_old_crash_information_without_the_place_in_memory(crash_info: int, tmp_path: Path) -> None:
    with pytest.raises(MissingInfoError, match="Can't get Xen physical start address") as caught:
        dumped(XenHost(XenSpec(crash_info=crash_info)), tmp_path)
    assert caught.value.hint == "Please use the --xen_phys_start option."


def test_a_host_that_says_nothing_of_itself(tmp_path: Path) -> None:
    with pytest.raises(MissingInfoError, match="doesn't contain a vmcoreinfo for Xen") as caught:
        dumped(XenHost(XenSpec(notes=False)), tmp_path)
    assert "--xen-syms" in (caught.value.hint or "")


def test_without_the_option_nothing_of_the_hypervisor_is_needed(tmp_path: Path) -> None:
    host = XenHost(XenSpec(notes=False))
    pages, report = dumped(host, tmp_path, exclude_user_domains=False, dump_levels=(1,))
    assert pages == set(host.ram_pfns)
    assert report.further == ()


def test_the_hypervisors_text_in_a_file(tmp_path: Path) -> None:
    host = XenHost(XenSpec(notes=False, pages=mixed("new")))
    text = tmp_path / "text"
    text.write_text(host.vmcoreinfo_xen)
    pages, _ = dumped(host, tmp_path, xen_vmcoreinfo=text)
    assert pages == kept(host, "new")
    pages, _ = dumped(host, tmp_path, vmcoreinfo=text)  # -i
    assert pages == kept(host, "new")


@pytest.mark.parametrize("size", [0, 8, 63])
def test_crash_information_that_is_too_small(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = XenHost(XenSpec())
    monkeypatch.setattr(host, "crash_info", lambda: bytes(size))
    with pytest.raises(FormatError, match=rf"Xen crash info too small \({size} bytes\)"):
        dumped(host, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("SIZE(page_info)=32", "SIZE(page_info)=16", r"SIZE\(page_info\)=16"),
        ("SIZE(page_info)=32", "SIZE(page_info)=99999999", r"SIZE\(page_info\)=99999999"),
        ("SIZE(page_info)=32\n", "", r"lacks SIZE\(page_info\)"),
        ("OFFSET(page_info._domain)=24", "OFFSET(page_info._domain)=31", "_domain at 31"),
        ("OFFSET(domain.next_in_list)=144\n", "", r"lacks OFFSET\(domain.next_in_list\)"),
    ],
)
def test_impossible_structures(old: str, new: str, line: str, tmp_path: Path) -> None:
    host = XenHost(XenSpec(notes=False))
    text = tmp_path / "text"
    text.write_text(host.vmcoreinfo_xen.replace(old, new))
    with pytest.raises((FormatError, MissingInfoError), match=line):
        dumped(host, tmp_path, xen_vmcoreinfo=text)


def test_a_version_that_cannot_be_read_is_one_without_a_point_release(tmp_path: Path) -> None:
    host = XenHost(XenSpec(version=(4, 16), pages=mixed("old")))
    host.extra_version = 1 << 40
    pages, _ = dumped(host, tmp_path)
    assert pages == kept(host, "old")


def test_more_than_one_domain_0_is_not_a_problem(tmp_path: Path) -> None:
    host = XenHost(XenSpec(pages=mixed("new")))
    host.memory.write_integer(host.addresses["other"], 0, 2)
    pages, _ = dumped(host, tmp_path)
    others = {pfn for pfn in host.ram_pfns if host.page_info(pfn).owner == "other"}
    assert pages == kept(host, "new") | others
