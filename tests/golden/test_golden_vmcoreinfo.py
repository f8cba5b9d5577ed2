# SPDX-License-Identifier: GPL-2.0-or-later
"""What -g writes of real kernels is what the reference writes of them; BTF and DWARF say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from children import fastest
from corpus import corpus, unpacked
from judges.fetch import KERNELS, vmlinux
from makedumpfile.__main__ import main
from mdf.core.debuginfo.find import find
from mdf.vmcoreinfo.text import vmcoreinfo_text

ITEM = "x86_64-6.1-kdump"
XEN_ITEM = "xen-4.20-dom0"
DWARF_ALONE = ["SRCFILE(pud_t)=arch/x86/include/asm/pgtable_types.h"]
BTF_SECONDS, DWARF_SECONDS = 2, 15


def reference(item: str, name: str) -> str:
    path = corpus() / item / name
    if not path.exists():
        pytest.skip(f"no {path}")
    return path.read_text()


def debug_kernel(item: str) -> Path:
    path = vmlinux(item)
    if path is None:
        pytest.skip(f"no debug package of {item}: python tests/judges/fetch.py gets it")
    return path


def test_the_kernels_file_is_the_references_but_for_the_line_that_only_dwarf_knows(tmp_path: Path) -> None:
    target = tmp_path / "vmcoreinfo"
    answer = reference(ITEM, "vmcoreinfo-g.txt").splitlines()
    assert main(["-g", str(target), "-x", str(unpacked(ITEM, "vmlinux"))]) == 0
    lines = target.read_text().splitlines()
    assert lines == [line for line in answer if line not in DWARF_ALONE]
    assert len(answer) - len(lines) == len(DWARF_ALONE)


@pytest.mark.parametrize("use_btf", [True, False])
def test_with_dwarf_the_kernels_file_is_the_references_byte_for_byte(use_btf: bool) -> None:
    text = vmcoreinfo_text(find(debug_kernel(ITEM), use_btf=use_btf))
    assert text == reference(ITEM, "vmcoreinfo-g.txt")


@pytest.mark.parametrize(("use_btf", "seconds"), [(True, BTF_SECONDS), (False, DWARF_SECONDS)])
def test_of_hundreds_of_megabytes_only_what_is_needed_is_looked_at(use_btf: bool, seconds: int) -> None:
    code = (
        "from pathlib import Path; from mdf.core.debuginfo.find import find\n"
        "from mdf.vmcoreinfo.text import vmcoreinfo_text\n"
        f"vmcoreinfo_text(find(Path({str(debug_kernel(ITEM))!r}), use_btf={use_btf}))"
    )
    assert fastest(["-c", code], enough=seconds) <= seconds


@pytest.mark.parametrize("item", [kernel.item for kernel in KERNELS])
def test_btf_and_dwarf_of_a_kernel_say_the_same(item: str) -> None:
    kernel = debug_kernel(item)
    by_btf, by_dwarf = find(kernel), find(kernel, use_btf=False)
    assert by_btf.sources == ("symbols", "BTF", "DWARF")
    assert by_dwarf.sources == ("symbols", "DWARF")
    assert by_btf.values == by_dwarf.values
    assert by_btf.build_id == next(kernel.build_id for kernel in KERNELS if kernel.item == item)


def test_the_hypervisors_file_is_the_references_byte_for_byte(tmp_path: Path) -> None:
    target = tmp_path / "vmcoreinfo"
    answer = reference(XEN_ITEM, "xen-vmcoreinfo-g.txt")
    assert main(["-g", str(target), "--xen-syms", str(unpacked(XEN_ITEM, "xen-syms"))]) == 0
    assert target.read_text() == answer
