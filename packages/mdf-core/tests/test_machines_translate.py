# SPDX-License-Identifier: GPL-2.0-or-later
"""Every machine's address space: tables of all forms and page sizes, windows, byte orders, and what is not mapped."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from factory import MIB, ElfStyle, Model, Ram, Spec, Vmcore, build
from mdf.core.arch.paging import Mapping, Step
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError
from mdf.core.kernel import Kernel
from oracle.image import open_image

LOW = (Ram(0, 1 * MIB), Ram(2 * MIB, 12 * MIB))
ABOVE = (Ram(0x40000000, 0x40000000 + 9 * MIB), Ram(0x40000000 + 10 * MIB, 0x40000000 + 12 * MIB))


def narrow(arch: str, **options: object) -> Spec:
    """A machine of 32 bits."""
    ram = ABOVE if arch.startswith("arm") else LOW
    spec = Spec(release="6.1.0", arch=arch, bits=32, ram=ram, model=Model.FLATMEM, kernel_start=ram[0].start)
    return replace(spec, **options)  # type: ignore[arg-type]


def wide(arch: str, page_shift: int, **options: object) -> Spec:
    """A machine of 64 bits."""
    ram = (Ram(0, 1 * MIB), Ram(2 * MIB, 40 * MIB))
    spec = Spec(release="6.1.0", arch=arch, page_shift=page_shift, ram=ram, model=Model.FLATMEM, kernel_start=0)
    return replace(spec, **options)  # type: ignore[arg-type]


MACHINES = {
    "i386": narrow("i386"),
    "i386 with PAE": narrow("i386-pae"),
    "arm": narrow("arm"),
    "arm, big endian": narrow("arm", byteorder="big"),
    "arm with LPAE": narrow("arm-lpae"),
    "arm with LPAE, big endian": narrow("arm-lpae", byteorder="big"),
    "arm with memory at 0x80000000": narrow("arm", ram=(Ram(0x80000000, 0x80000000 + 12 * MIB),)),
    "ppc": narrow("ppc", byteorder="big"),
    "ppc, Book E": narrow("ppc-book-e", byteorder="big"),
    "loongarch64, 4 KiB": wide("loongarch64", 12),
    "loongarch64, 16 KiB": wide("loongarch64", 14),
    "loongarch64, 64 KiB": wide("loongarch64", 16),
    "mips64, 4 KiB": wide("mips64", 12),
    "mips64, 16 KiB": wide("mips64", 14),
    "mips64, 16 KiB, big endian": wide("mips64", 14, byteorder="big"),
    "mips64 before 5.3": wide("mips64", 14, release="4.19.0"),
    "mips64, 64 KiB": wide("mips64", 16),
    "sparc64, 4 levels": wide("sparc64", 13, byteorder="big"),
    "sparc64, 3 levels": wide("sparc64", 13, byteorder="big", release="3.8.0"),
    "ia64, 3 levels": wide("ia64", 14, release="3.10.0"),
    "ia64, 4 levels": wide("ia64", 14, release="3.10.0", extra=("CONFIG_PGTABLE_4=y",)),
    "ia64, 64 KiB": wide("ia64", 16, release="3.10.0"),
    "arm64, 4 KiB, 39 bits": wide("arm64-39", 12),
    "arm64, 4 KiB, 48 bits": wide("arm64-48", 12),
    "arm64, 4 KiB, 48 bits, big endian": wide("arm64-48", 12, byteorder="big"),
    "arm64, 4 KiB, 48 bits, before 5.4": wide("arm64-48-old", 12, release="4.19.0"),
    "arm64, 4 KiB, 52 bits of which 48 are used": wide("arm64-52-as-48", 12),
    "arm64, 4 KiB, LPA2": wide("arm64-lpa2", 12),
    "arm64, 16 KiB, 36 bits": wide("arm64-36", 14),
    "arm64, 16 KiB, 47 bits": wide("arm64-47", 14),
    "arm64, 16 KiB, 48 bits": wide("arm64-48", 14),
    "arm64, 16 KiB, 52 bits of which 47 are used": wide("arm64-52-as-47", 14),
    "arm64, 16 KiB, LPA2": wide("arm64-lpa2", 14),
    "arm64, 64 KiB, 42 bits": wide("arm64-42", 16),
    "arm64, 64 KiB, 48 bits": wide("arm64-48", 16),
    "arm64, 64 KiB, 52 bits": wide("arm64-52", 16),
    "arm64, 64 KiB, 52 bits of which 48 are used": wide("arm64-52-as-48", 16),
    "riscv64, Sv39": wide("riscv64-39", 12),
    "riscv64, Sv48": wide("riscv64-48", 12),
    "riscv64, Sv57": wide("riscv64-57", 12),
    "s390x, 3 levels": wide("s390x-3", 12, byteorder="big"),
    "s390x, 4 levels": wide("s390x-4", 12, byteorder="big"),
    "s390x, 5 levels": wide("s390x-5", 12, byteorder="big"),
    "s390x, moved": wide("s390x-moved", 12, byteorder="big", release="6.12.0"),
    "ppc64, radix, 4 KiB": wide("ppc64-radix", 12, byteorder="big"),
    "ppc64, radix, 64 KiB": wide("ppc64-radix", 16, byteorder="big"),
    "ppc64le, radix, 64 KiB": wide("ppc64-radix", 16),
    "ppc64le, hash, 64 KiB": wide("ppc64-hash", 16),
    **{
        f"ppc64, hash, {1 << shift - 10} KiB, {release}": wide("ppc64-hash", shift, byteorder="big", release=release)
        for shift in (12, 16)
        for release in ("3.5.0", "4.4.0", "4.5.0", "4.8.0", "4.10.0", "4.13.0", "6.1.0")
    },
}


def mapped(core: Vmcore, chance: random.Random) -> list[tuple[int, int, int]]:
    """Maps pages of every size at random places of the vmalloc area: virtual and physical address, and size."""
    form, tables = core.spec.form, core.machine.formed
    assert form is not None
    assert tables is not None
    top = min(form.shifts[0] + form.bits[0], 32 if core.bits == 32 else 64)
    reach = (1 << top) - form.vmalloc % (1 << top) if core.bits == 32 else form.reach or min(1 << top - 1, 1 << 46)
    physical = form.paddr_bits or (32 if form.width == 4 else 36 if core.bits == 32 else 44)
    pages: list[tuple[int, int, int]] = []
    for _ in range(60):
        shift = chance.choice(form.leaves)
        near = chance.choice(pages)[0] if pages and chance.random() < 0.5 else form.vmalloc + chance.randrange(reach)
        vaddr = near + (chance.randrange(4) << shift)
        vaddr -= vaddr % (1 << shift)
        paddr = chance.randrange(1 << physical - shift) << shift
        if not form.vmalloc <= vaddr < form.vmalloc + reach - (1 << shift):
            continue
        try:
            tables.map(vaddr, paddr, 1 << shift, shift)
        except (ValueError, KeyError):
            continue  # There is something already.
        pages.append((vaddr, paddr, 1 << shift))
    return pages


def kernel_of(core: Vmcore, path: Path, style: ElfStyle | None = None) -> Kernel:
    dump = open_dump(core.elf(path, style))
    assert dump.info is not None
    return Kernel(dump, dump.info)


@pytest.mark.parametrize("name", MACHINES)
def test_pages_of_every_size_are_where_they_were_mapped_and_another_walker_agrees(name: str, tmp_path: Path) -> None:
    core, chance = build(MACHINES[name]), random.Random(name)
    pages = mapped(core, chance)
    form = core.spec.form
    assert form is not None
    assert {size for _, _, size in pages} >= {1 << shift for shift in form.leaves if shift < 30}
    kernel = kernel_of(core, tmp_path / "vmcore")
    image = open_image(tmp_path / "vmcore")
    for _ in range(2000):
        vaddr, paddr, size = chance.choice(pages)
        offset = chance.randrange(size)
        found = kernel.machine.translate(vaddr + offset)
        assert found == Mapping(paddr + offset, size - offset), hex(vaddr + offset)
    agreed = 0
    for _ in range(1500):
        start, _, size = chance.choice(pages)
        near = start + chance.randrange(chance.choice((size, 1 << 26)))
        direct = core.machine.virt(chance.choice(core.ram_pfns) * core.page_size) + chance.randrange(core.page_size)
        for vaddr in (near, direct, form.vmalloc + chance.randrange(1 << 30)):
            vaddr &= (1 << core.bits) - 1
            try:
                expected = image.translate(vaddr)
            except LookupError:
                with pytest.raises(AddressError, match=f"{vaddr:#x} is not mapped"):
                    kernel.machine.translate(vaddr)
            else:
                assert kernel.machine.translate(vaddr).paddr == expected, hex(vaddr)
                agreed += 1
    assert agreed > 1800


@pytest.mark.parametrize("name", MACHINES)
def test_what_lies_in_the_direct_map_is_read_by_its_virtual_address(name: str, tmp_path: Path) -> None:
    core = build(MACHINES[name])
    kernel = kernel_of(core, tmp_path / "vmcore")
    for pfn in core.ram_pfns[:: len(core.ram_pfns) // 20]:
        assert kernel.read(core.machine.virt(pfn * core.page_size), core.page_size) == core.page(pfn)
    assert kernel.utsname[130:135].startswith(core.spec.release.encode()[:5])


@pytest.mark.parametrize("name", [name for name in MACHINES if name.startswith(("i386", "arm", "loong", "mips"))])
def test_a_dump_by_qemu_without_virtual_addresses_is_read_too(name: str, tmp_path: Path) -> None:
    core = build(MACHINES[name])
    kernel = kernel_of(core, tmp_path / "vmcore", ElfStyle(qemu=True, bits=64))
    assert kernel.dump.bits == core.bits
    assert kernel.read(core.machine.virt(core.ram_pfns[9] * core.page_size), 64) == core.page(core.ram_pfns[9])[:64]


@pytest.mark.parametrize("name", [name for name in MACHINES if "ppc64le" not in name])
def test_a_trace_shows_every_entry_and_an_invalid_one_ends_it(name: str, tmp_path: Path) -> None:
    core = build(MACHINES[name])
    form, tables = core.spec.form, core.machine.formed
    assert form is not None
    assert tables is not None
    small = form.leaves[-1]
    vaddr = form.vmalloc + (5 << form.shifts[-2])
    tables.map(vaddr, 0x123 << small, 1 << small, small)
    expected = tables.walk(vaddr)
    steps: list[Step] = []
    kernel = kernel_of(core, tmp_path / "vmcore")
    assert kernel.trace(vaddr + 0x123, steps.append) == (0x123 << small) + 0x123
    assert [(step.entry_paddr, step.entry) for step in steps] == expected
    others = tables.walk(core.symbols["swapper_pg_dir"]) if form.mapped else []
    for number, (slot, entry) in enumerate(expected):
        if (slot, entry) in others:
            continue  # Without that one nothing is mapped.
        empty = form.empty(form.shifts[number])
        core.machine.memory.write_integer(slot, empty, form.width)
        broken = kernel_of(core, tmp_path / f"broken{number}")
        level = steps[number].level
        with pytest.raises(AddressError, match=f"{vaddr:#x} is not mapped: {level} entry {empty:#x}"):
            broken.machine.translate(vaddr)
        core.machine.memory.write_integer(slot, entry, form.width)


@pytest.mark.parametrize("name", MACHINES)
def test_a_table_that_is_not_in_the_dump_is_named(name: str, tmp_path: Path) -> None:
    core = build(MACHINES[name])
    form, tables = core.spec.form, core.machine.formed
    assert form is not None
    assert tables is not None
    lost = 0x2F000000 if core.bits == 32 else 0x123 << 30
    # A top table of two entries has none to spare.
    level = 0 if form.bits[0] > 1 else 1
    vaddr = form.vmalloc + (7 << form.shifts[level])
    tables.put(vaddr, level, form.table(lost) | form.mark(form.shifts[level]))
    kernel = kernel_of(core, tmp_path / "vmcore")
    with pytest.raises(AddressError, match="no page table at"):
        kernel.machine.translate(vaddr)


@pytest.mark.parametrize("name", ["i386", "arm", "arm with LPAE"])
def test_page_tables_that_are_nowhere_are_one_clear_error(name: str, tmp_path: Path) -> None:
    core = build(
        replace(MACHINES[name], without=("SYMBOL(swapper_pg_dir)",), extra=("SYMBOL(swapper_pg_dir)=c0765000",))
    )
    with pytest.raises(AddressError, match=r"page tables .* are not where its direct map can be"):
        kernel_of(core, tmp_path / "vmcore")


# By the manuals: a virtual address, its indices from the top table down, the last entry, and the physical address.
BY_HAND = [
    ("i386", 0xF0C45678, (0x3C3, 0x045), 0x00ABC163, 0x00ABC678),
    ("i386", 0xF1345678, (0x3C4,), 0x0AC000E3, 0x0AF45678),
    ("i386 with PAE", 0xF0C45678, (3, 0x186, 0x045), 0x800000040ABCD163, 0x40ABCD678),
    ("i386 with PAE", 0xF1345678, (3, 0x189), 0x800000040AC000E3, 0x40AD45678),
    ("arm", 0xF0C45678, (0xF0C, 0x045), 0x6ABCD45F, 0x6ABCD678),
    ("arm", 0xF0C45678, (0xF0C, 0x045), 0x6ABC005D, 0x6ABC5678),
    ("arm", 0xF1345678, (0xF13,), 0x6AC1141E, 0x6AC45678),
    ("arm", 0xF1345678, (0xF13,), 0x6B04040E, 0x6B345678),
    ("arm with LPAE", 0xF0C45678, (3, 0x186, 0x045), 0x006000126ABCD713, 0x126ABCD678),
    ("arm with LPAE", 0xF1345678, (3, 0x189), 0x006000126AC00711, 0x126AD45678),
    ("ppc", 0xF1345678, (0x3C4, 0x345), 0x0ABCD587, 0x0ABCD678),
    ("ppc, Book E", 0xF1345678, (0x3C4, 0x345), 0x0ABCD70F, 0x0ABCD678),
    ("loongarch64, 16 KiB", 0xFFFF800012345678, (0, 0x009, 0x0D1), 0x40000001234541D3, 0x123455678),
    ("loongarch64, 16 KiB", 0xFFFF800012345678, (0, 0x009), 0x40000001240011D3, 0x124345678),
    ("mips64, 16 KiB", 0xC000000012345678, (0, 0x009, 0x0D1), 0x48D152F0F, 0x123455678),
    ("mips64, 16 KiB", 0xC000000012345678, (0, 0x009), 0x490002F1F, 0x124345678),
    ("sparc64, 4 levels", 0x112345678, (0, 0, 0x224, 0x1A2), 0x8000000123456010, 0x123457678),
    ("sparc64, 4 levels", 0x112345678, (0, 0, 0x224), 0x8100000124000010, 0x124345678),
    ("ia64, 3 levels", 0xA000000212345678, (0, 0x109, 0x0D1), 0x0010000123454661, 0x123455678),
    ("arm64, 4 KiB, 48 bits", 0xFFFF800012345678, (0x100, 0, 0x091, 0x145), 0x0078000123456703, 0x123456678),
    ("arm64, 4 KiB, 48 bits", 0xFFFF800012345678, (0x100, 0, 0x091), 0x0078000124000701, 0x124145678),
    ("arm64, 4 KiB, 48 bits", 0xFFFF800012345678, (0x100, 0), 0x0078000140000701, 0x152345678),
    ("arm64, 64 KiB, 52 bits", 0xFFFF800012345678, (0x3E0, 0, 0x1234), 0x007800012345A703, 0xA000123455678),
    ("arm64, 64 KiB, 52 bits", 0xFFFF800012345678, (0x3E0, 0), 0x0078000140005701, 0x5000152345678),
    ("arm64, 16 KiB, 47 bits", 0xFFFFC00012345678, (0x400, 0x009, 0x0D1), 0x0078000123454703, 0x123455678),
    ("riscv64, Sv48", 0xFFFF8F8012345678, (0x11F, 0, 0x091, 0x145), 0x0000000048D158E7, 0x123456678),
    ("riscv64, Sv48", 0xFFFF8F8012345678, (0x11F, 0, 0x091), 0x00000000490000E7, 0x124145678),
    ("s390x, 4 levels", 0x20012345678, (0, 0x400, 0x123, 0x45), 0x123456000, 0x123456678),
    ("s390x, 4 levels", 0x20012345678, (0, 0x400, 0x123), 0x124500400, 0x124545678),
    ("s390x, 4 levels", 0x20012345678, (0, 0x400), 0x180000407, 0x192345678),
    ("ppc64, radix, 64 KiB", 0xC008000012345678, (0x1000, 0, 0x091, 0x14), 0xC000000123450187, 0x123455678),
    ("ppc64, radix, 64 KiB", 0xC008000012345678, (0x1000, 0, 0x091), 0xC000000124000187, 0x124145678),
    ("ppc64, hash, 64 KiB, 6.1.0", 0xD000000012345678, (0, 0, 0x12, 0x34), 0xC000000123450187, 0x123455678),
    ("ppc64, hash, 64 KiB, 4.4.0", 0xD000000012345678, (0, 0x12, 0x34), 0x0001234500000387, 0x123455678),
]


@pytest.mark.parametrize(("name", "vaddr", "indices", "entry", "paddr"), BY_HAND)
def test_translations_computed_by_hand(
    name: str, vaddr: int, indices: tuple[int, ...], entry: int, paddr: int, tmp_path: Path
) -> None:
    core = build(MACHINES[name])
    form, tables = core.spec.form, core.machine.formed
    assert form is not None
    assert tables is not None
    slots = tables.slots(vaddr, len(indices) - 1)
    assert [slot % (form.width << bits) // form.width for slot, bits in zip(slots, form.bits, strict=False)] == list(
        indices
    )
    core.machine.memory.write_integer(slots[-1], entry, form.width)
    assert kernel_of(core, tmp_path / "vmcore").machine.translate(vaddr).paddr == paddr


@pytest.mark.parametrize(
    ("name", "level", "entry"),
    [
        ("i386", 1, 0x00ABC162),
        ("i386 with PAE", 1, 0x00ABC0E2),
        ("arm", 1, 0x6ABCD45C),
        ("arm", 0, 0x6ABCD41C),
        ("arm with LPAE", 2, 0x6ABCD711),
        ("arm with LPAE", 1, 0x6ABCD712),
        ("ppc", 1, 0x00ABC586),
        ("loongarch64, 16 KiB", 2, 0x123454153),
        ("mips64, 16 KiB", 2, 0x48D152F0E),
        ("sparc64, 4 levels", 3, 0x0000000123456000),
        ("ia64, 3 levels", 2, 0x0010000123454660),
    ],
)
def test_an_entry_that_is_not_valid_is_shown_as_it_is(name: str, level: int, entry: int, tmp_path: Path) -> None:
    core = build(MACHINES[name])
    form, tables = core.spec.form, core.machine.formed
    assert form is not None
    assert tables is not None
    vaddr = form.vmalloc + (3 << form.shifts[-2])
    core.machine.memory.write_integer(tables.slots(vaddr, level)[-1], entry, form.width)
    with pytest.raises(AddressError, match=f"{vaddr:#x} is not mapped: P.. entry {entry:#x}"):
        kernel_of(core, tmp_path / "vmcore").machine.translate(vaddr)
