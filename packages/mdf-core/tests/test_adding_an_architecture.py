# SPDX-License-Identifier: GPL-2.0-or-later
"""The example of docs/adding-an-architecture.md works as it stands there."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from factory import MIB, Model, Ram, Spec, build
from mdf.core.arch import ARCHITECTURES, Architecture, Registry
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError, UnsupportedError
from mdf.core.kernel import Kernel, mem_map

PAGE = Path(__file__).parents[3] / "docs" / "adding-an-architecture.md"


@pytest.fixture
def registry_with_the_example(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Architecture]:
    """One module and one line, both from the page."""
    text = PAGE.read_text(encoding="utf-8")
    module = ModuleType("xy64")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(source, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "mdf.core.arch.xy64", module)
    (line,) = re.findall(r"```\n( +\"xy64\": .*?)```", text, re.DOTALL)
    return {**ARCHITECTURES, **Registry(ast.literal_eval("{" + line + "}"))}


def test_one_module_and_one_line_add_an_architecture(
    tmp_path: Path, registry_with_the_example: Mapping[str, Architecture]
) -> None:
    spec = Spec(
        release="6.1.0",
        arch="linear",
        machine=0x9999,
        byteorder="big",
        page_shift=14,
        linear_base=0x9000000000000000,
        ram=(Ram(0, 2 * MIB), Ram(4 * MIB, 24 * MIB)),
        model=Model.SPARSEMEM_EXTREME,
        kernel_start=0,
    )
    core = build(spec)
    root = core.symbols["swapper_pg_dir"] - 0x9000000000000000
    table = core.machine.memory.allocate(1 << 14)
    core.machine.memory.write_integer(root + 3 * 8, table | 1, 8)
    core.machine.memory.write_integer(table + 5 * 8, 0x123454000 | 1, 8)
    core.machine.memory.write_integer(root + 4 * 8, 0x124000000 | 3, 8)
    with open_dump(core.elf(tmp_path / "vmcore")) as dump:
        assert dump.info is not None
        with pytest.raises(UnsupportedError):
            Kernel(dump, dump.info)
        dump.machine = "xy64"  # What a line in MACHINES says.
        kernel = Kernel(dump, dump.info, registry_with_the_example)
        assert str(kernel.release).startswith("6.1")
        assert kernel.machine.translate(0xC000000006014321).paddr == 0x123454321
        assert kernel.machine.translate(0xC000000008000321).paddr == 0x124000321
        with pytest.raises(AddressError, match="PTE entry 0x0"):
            kernel.machine.translate(0xC000000006018000)
        assert mem_map(kernel, dump.max_mapnr)[0].address == core.pieces[0].address
