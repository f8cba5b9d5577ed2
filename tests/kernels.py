# SPDX-License-Identifier: GPL-2.0-or-later
"""Debug information that says of a made kernel what its VMCOREINFO says, as far as debug information can."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from debuginfo import Array, Dwarf, Elf, Enum, Int, Pointer, Struct, Type, Variable, btf
from factory import Model, Vmcore, build

# Macros and variables: in no debug information.
_NOT_IN_TYPES = re.compile("PAGE_.*_MAPCOUNT_VALUE|.*_BITS|phys_base|KERNEL_IMAGE_SIZE|pgtable_l5_enabled|sme_mask")
_LINE = re.compile(r"(SYMBOL|SIZE|OFFSET|LENGTH|NUMBER)\((\S+)\)=(\S+)")
_ARRAYS = ("node_data", "pgdat_list", "mem_section")
Form = Literal["btf", "dwarf"]


def values_of(core: Vmcore) -> dict[tuple[str, str], str]:
    """What can be known of a made kernel, whether it exports it or not: values by kind and name."""
    known = build(replace(core.spec, debuginfo=True, root_pointer=True, without=(), extra=()))
    return {(kind, name): value for kind, name, value in _LINE.findall(known.vmcoreinfo)}


def vmlinux_of(
    core: Vmcore,
    path: Path,
    form: Form = "btf",
    *,
    release: str | None = None,
    build_id: str = "",
    no_data: bool = False,
) -> Path:
    """Writes the vmlinux of a made kernel: linked where it would be without KASLR, of another `release` if asked."""
    spec = core.spec
    values = values_of(core)
    word = spec.bits // 8
    long, pointer = Int("long", word), Pointer()
    members: dict[str, list[tuple[str, Type, int]]] = {}
    variables = []
    for (kind, name), value in values.items():
        structure, _, member = name.partition(".")
        if kind == "OFFSET":
            length = int(values.get(("LENGTH", name), 0))
            of: Type = Array(to=long, length=length) if length else long
            members.setdefault(structure, []).append((member, of, int(value)))
        elif kind == "LENGTH" and name in _ARRAYS:
            array = Array(to=pointer, length=int(value))
            variables.append(Variable(name, to=pointer if name == "mem_section" and is_pointer(core) else array))
    sizes = {name: int(value) for (kind, name), value in values.items() if kind == "SIZE"}
    sizes = {**{name: max(offset for _, _, offset in of) + word for name, of in members.items()}, **sizes}
    types: list[Type] = [Struct(name, size, members=members.get(name, [])) for name, size in sizes.items()]
    numbers = {name: int(value) for (kind, name), value in values.items() if kind == "NUMBER"}
    types.append(Enum("pagetype", 4, values=_page_types(core)))
    types.append(Enum("numbers", 4, values={name: at for name, at in numbers.items() if not _NOT_IN_TYPES.match(name)}))
    sections = {".note.gnu.build-id": _build_id(build_id, spec.byteorder)} if build_id else {}
    if form == "btf":
        sections[".BTF"] = btf(types, spec.byteorder)
    else:
        dwarf = Dwarf({"mm/page_alloc.c": [*types, *variables]}, order=spec.byteorder, address_size=word)
        sections |= dwarf.sections()
    kaslr = spec.kaslr if core.machine.tables is not None else 0
    symbols = {
        name: (int(value, 16) - kaslr, _size(core, name, values, word))
        for (kind, name), value in values.items()
        if kind == "SYMBOL"
    }
    elf = Elf(
        sections,
        symbols,
        bits=spec.bits,
        order=spec.byteorder,
        machine=spec.e_machine,
        banner=f"Linux version {release or spec.release} (someone@host) #1",
        no_data=no_data,
    )
    path.write_bytes(elf.build())
    return path


def _size(core: Vmcore, name: str, values: dict[tuple[str, str], str], word: int) -> int:
    """Bytes at a symbol."""
    length = int(values.get(("LENGTH", name), 0))
    if name != "mem_section":
        return length * word or 4096
    if is_pointer(core):
        return word
    return length * (core.spec.section_struct if core.spec.model is Model.SPARSEMEM else word)


def _page_types(core: Vmcore) -> dict[str, int]:
    """The enumerators of 6.10 and 6.11 that are named like flags, but are bits of the page type."""
    if not (6, 10) <= core.spec.generation.release < (6, 12):
        return {}
    known = core.spec.generation.types
    values = {"PG_buddy": known.buddy, "PG_hugetlb": known.hugetlb, "PG_slab": known.slab}
    return {name: 0xFFFFFFFF & ~value for name, value in values.items() if value is not None}


def is_pointer(core: Vmcore) -> bool:
    """Whether the variable mem_section is a pointer, not an array."""
    return core.spec.model is Model.SPARSEMEM_EXTREME and core.spec.generation.release >= (4, 15, 0)


def text_of(core: Vmcore, path: Path, *, release: str | None = None) -> Path:
    """Writes what -g would write of the same vmlinux."""
    kaslr = core.spec.kaslr if core.machine.tables is not None else 0
    lines = [f"OSRELEASE={release or core.spec.release}", f"PAGESIZE={core.spec.page_size}"]
    for (kind, name), value in values_of(core).items():
        if kind == "SYMBOL":
            lines.append(f"SYMBOL({name})={int(value, 16) - kaslr:x}")
        elif not _NOT_IN_TYPES.match(name):
            lines.append(f"{kind}({name})={value}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _build_id(build_id: str, byteorder: Literal["little", "big"]) -> bytes:
    desc = bytes.fromhex(build_id)
    header = b"".join(value.to_bytes(4, byteorder) for value in (4, len(desc), 3))
    return header + b"GNU\x00" + desc
