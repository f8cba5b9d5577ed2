# SPDX-License-Identifier: GPL-2.0-or-later
"""DWARF of a kernel, hundreds of megabytes, of which only the top level of a few units is read."""

from __future__ import annotations

from typing import Any, BinaryIO

from mdf.core.debuginfo.dies import children, name_of, number_of
from mdf.core.debuginfo.types import MAX_DEPTH, Member, Members
from mdf.core.debuginfo.units import Units
from mdf.core.debuginfo.wanted import Types, Wanted
from mdf.core.errors import FormatError, MissingPackageError

# Where the kernel defines or uses what is wanted: the first that know most come first.
UNITS = (
    "mm/page_alloc.c",
    "kernel/printk/printk.c",
    "kernel/printk.c",  # until 3.10
    "mm/vmalloc.c",
    "mm/hugetlb.c",
    "mm/sparse.c",
    "kernel/utsname.c",
    "init/version.c",
    "init/main.c",
    "arch/powerpc/mm/init_64.c",
    "arch/powerpc/kernel/cputable.c",
    "arch/ia64/mm/numa.c",
    "arch/x86/mm/discontig_32.c",  # 2.6.24 to 2.6.26
    "arch/x86/mm/numa_32.c",
    "arch/i386/mm/discontig.c",
    "common/domain.c",  # of Xen
)

_STRUCTURES = ("DW_TAG_structure_type", "DW_TAG_union_type", "DW_TAG_class_type")
_ALIASES = (
    "DW_TAG_typedef",
    "DW_TAG_const_type",
    "DW_TAG_volatile_type",
    "DW_TAG_restrict_type",
    "DW_TAG_atomic_type",
)
_DW_OP_PLUS_UCONST = 0x23


def open_dwarf(file: BinaryIO, *, relocatable: bool) -> Any:
    """The DWARF of an ELF file, as an `elftools` DWARFInfo. Raises MissingPackageError, or what pyelftools raises."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise MissingPackageError(
            "Reading DWARF needs the package pyelftools.",
            hint="Install pyelftools (mdf-core[dwarf]), or use a vmlinux with BTF.",
        ) from error
    # The debug sections of a linked kernel are final, whatever relocations are kept beside them.
    return ELFFile(file).get_dwarf_info(relocate_dwarf_sections=relocatable, follow_links=False)


def read_dwarf(dwarf: Any, wanted: Wanted) -> Types:
    """The wanted types in `dwarf`, an `elftools` DWARFInfo. Raises FormatError, or what pyelftools raises."""
    units = Units(dwarf)
    reader = _Reader(dwarf, wanted)
    for unit in units.named(UNITS):
        if not reader.missing.names:
            break
        reader.read(unit)
    # Shorter names are in no string table, and in the kernel mean something else everywhere but in their own unit.
    for name in sorted(name for name in reader.missing.names if len(name) > 3):
        for unit in units.mentioning(name):
            if name not in reader.missing.names:
                break
            reader.read(unit)
    return reader.types


class _Reader:
    def __init__(self, dwarf: Any, wanted: Wanted) -> None:
        self._dwarf = dwarf
        self.types = Types()
        self.missing = wanted
        self._seen: set[int] = set()

    def read(self, unit: Any) -> None:
        """Takes what is still missing from the top level of a unit."""
        if unit.cu_offset in self._seen:
            return
        self._seen.add(unit.cu_offset)
        wanted = self.missing
        for die in children(unit.get_top_DIE()):
            name = name_of(die)
            if die.tag in _STRUCTURES or die.tag == "DW_TAG_typedef":
                if name in wanted.structures and name not in self.types.structures:
                    self._take_structure(name, die)
                if name in wanted.sources and name not in self.types.sources and die.tag == "DW_TAG_typedef":
                    self._take_source(name, die, unit)
            elif die.tag == "DW_TAG_enumeration_type" and wanted.constants:
                self._take_constants(die, wanted)
            elif die.tag == "DW_TAG_variable" and name in wanted.arrays:
                self.types.arrays[name] = _length(_type(die)) or self.types.arrays.get(name, _length(_type(die)))
        self.missing = self.types.missing(wanted)

    def _take_structure(self, name: str, die: Any) -> None:
        structure = _resolve(die)
        if structure is None or structure.tag not in _STRUCTURES or "DW_AT_declaration" in structure.attributes:
            return
        members = Members()
        _flatten(structure, 0, members, False, MAX_DEPTH)
        self.types.structures[name] = members.structure(number_of(structure, "DW_AT_byte_size") or 0)

    def _take_constants(self, die: Any, wanted: Wanted) -> None:
        for enumerator in children(die):
            name = name_of(enumerator)
            value = number_of(enumerator, "DW_AT_const_value")
            if name in wanted.constants and value is not None:
                self.types.constants.setdefault(name, value)

    def _take_source(self, name: str, die: Any, unit: Any) -> None:
        index = number_of(die, "DW_AT_decl_file")
        program = self._dwarf.line_program_for_CU(unit)
        if index is None or program is None:
            return
        # Files and directories are counted from 1 until DWARF 5; directory 0 is then that of the compilation.
        old = program.header["version"] < 5
        files, directories = program.header["file_entry"], program.header["include_directory"]
        if not 0 <= index - old < len(files):
            raise FormatError(f"DWARF: {name} is declared in file {index}, of {len(files)}")
        file = files[index - old]
        directory = file.dir_index - old
        path = directories[directory] + b"/" + file.name if 0 <= directory < len(directories) else file.name
        self.types.sources[name] = path.decode("utf-8", "replace")


def _flatten(structure: Any, base: int, members: Members, inner: bool, depth: int) -> None:
    """Notes the members of a structure, and those of the structures within it."""
    if not depth:
        raise FormatError(f"DWARF: the structure at byte {structure.offset} of .debug_info is nested too deeply")
    for die in children(structure):
        if die.tag != "DW_TAG_member":
            continue
        offset, name, nested = base + _location(die), name_of(die), _type(die)
        members.note(name, Member(offset, _length(nested)), inner=inner)
        if nested is not None and nested.tag in _STRUCTURES:
            _flatten(nested, offset, members, inner or bool(name), depth - 1)


def _location(member: Any) -> int:
    """The offset of a member in bytes: a number, in DWARF 2 and 3 an expression, for a bit field also in bits."""
    attribute = member.attributes.get("DW_AT_data_member_location")
    if attribute is None:
        return (number_of(member, "DW_AT_data_bit_offset") or 0) // 8
    if isinstance(attribute.value, int):
        return int(attribute.value)
    operation, *operand = attribute.value
    if operation != _DW_OP_PLUS_UCONST:
        raise FormatError(f"DWARF: the member at byte {member.offset} of .debug_info has a computed place")
    return int(sum((byte & 0x7F) << 7 * place for place, byte in enumerate(operand)))


def _length(die: Any) -> int | None:
    """The number of elements if a type is an array, of the first dimension if it has several; 0 if it is open."""
    if die is None or die.tag != "DW_TAG_array_type":
        return None
    bounds = next((child for child in children(die) if child.tag == "DW_TAG_subrange_type"), None)
    if bounds is None:
        return 0
    count = number_of(bounds, "DW_AT_count")
    upper = number_of(bounds, "DW_AT_upper_bound")
    return count if count is not None else 0 if upper is None else upper + 1


def _type(die: Any) -> Any:
    """The type of a variable or member, without typedefs and qualifiers; None for void."""
    return _resolve(die.get_DIE_from_attribute("DW_AT_type")) if "DW_AT_type" in die.attributes else None


def _resolve(die: Any) -> Any:
    for _ in range(MAX_DEPTH):
        if die.tag not in _ALIASES:
            return die
        if "DW_AT_type" not in die.attributes:
            return None
        die = die.get_DIE_from_attribute("DW_AT_type")
    raise FormatError(f"DWARF: the typedefs at byte {die.offset} of .debug_info lead in a circle")
