# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels with debug information, made by code: the same types as BTF and as DWARF, in ELF files of any kind.

Standard library only, and nothing of mdf: what is expected is what is declared here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Order = Literal["little", "big"]
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOTE, SHT_NOBITS = 1, 2, 3, 7, 8
ET_EXEC = 2


@dataclass(frozen=True, eq=False)
class Type:
    """A type; without a name it is anonymous. `to` is what a typedef, pointer or array leads to."""

    name: str = ""
    size: int = 0
    to: Type | None = None


class Int(Type):
    """A number."""


class Pointer(Type):
    """A pointer (to void)."""


class Typedef(Type):
    """Another name."""


class Const(Type):
    """A qualifier."""


@dataclass(frozen=True, eq=False)
class Array(Type):
    """An array."""

    length: int = 0


@dataclass(frozen=True, eq=False)
class Struct(Type):
    """A structure or union: `members` are (name, type, offset in bytes)."""

    members: Sequence[tuple[str, Type, int]] = ()
    union: bool = False
    declaration: bool = False


@dataclass(frozen=True, eq=False)
class Enum(Type):
    """An enumeration; with `size` 8 an enum64."""

    values: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Variable(Type):
    """A variable of the type `to`."""


def ordered(types: Sequence[Type]) -> list[Type]:
    """All types that are needed, each once."""
    found: dict[Type, None] = {}

    def visit(type_: Type) -> None:
        if type_ not in found:
            found[type_] = None
            for needed in [type_.to, *(member[1] for member in getattr(type_, "members", ()))]:
                if needed:
                    visit(needed)

    for type_ in types:
        visit(type_)
    return list(found)


class Strings:
    """A string table."""

    def __init__(self, first: bytes = b"\x00") -> None:
        self.data = bytearray(first)

    def add(self, text: str) -> int:
        """The offset of a string."""
        self.data += text.encode() + b"\x00"
        return len(self.data) - len(text) - 1


def btf(types: Sequence[Type], order: Order = "little") -> bytes:
    """The section .BTF."""
    end = "<" if order == "little" else ">"
    strings, all_types = Strings(), ordered(types)
    ids = {type_: index + 1 for index, type_ in enumerate(all_types)}

    def entry(type_: Type) -> bytes:
        name = strings.add(type_.name) if type_.name else 0
        to = ids[type_.to] if type_.to else 0

        def head(kind: int, count: int, third: int, flag: int = 0) -> bytes:
            return struct.pack(end + "3I", name, flag << 31 | kind << 24 | count, third)

        if isinstance(type_, Struct):
            members = b"".join(
                struct.pack(end + "3I", strings.add(member) if member else 0, ids[of], offset * 8)
                for member, of, offset in type_.members
            )
            return head(5 if type_.union else 4, len(type_.members), type_.size) + members
        if isinstance(type_, Enum):
            signed = int(any(value < 0 for value in type_.values.values()))
            if type_.size == 8:
                pairs = [
                    (strings.add(key), value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF)
                    for key, value in type_.values.items()
                ]
                return head(19, len(pairs), 8, signed) + b"".join(struct.pack(end + "3I", *pair) for pair in pairs)
            values = [(strings.add(key), value & 0xFFFFFFFF) for key, value in type_.values.items()]
            return head(6, len(values), 4, signed) + b"".join(struct.pack(end + "2I", *pair) for pair in values)
        if isinstance(type_, Array):
            return head(3, 0, 0) + struct.pack(end + "3I", to, to, type_.length)
        if isinstance(type_, Variable):
            return head(14, 0, to) + struct.pack(end + "I", 1)
        if isinstance(type_, Int):
            return head(1, 0, type_.size) + struct.pack(end + "I", type_.size * 8)
        return head({Pointer: 2, Typedef: 8, Const: 10}[type(type_)], 0, to)

    body = b"".join(map(entry, all_types))
    header = struct.pack(end + "HBB5I", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings.data))
    return header + body + strings.data


def sleb(value: int) -> bytes:
    """A signed LEB128 number."""
    result = b""
    while not -64 <= value < 64:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value & 0x7F])


def uleb(value: int) -> bytes:
    """An unsigned LEB128 number."""
    result = b""
    while value > 0x7F:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value])


# Attribute, form; then what packs the value.
_NAME, _SIZE, _TYPE, _UPPER, _VALUE, _PLACE = (
    (0x03, 0x0E),
    (0x0B, 0x06),
    (0x49, 0x13),
    (0x2F, 0x06),
    (0x1C, 0x0D),
    (0x38, 0x06),
)
_PLACE_BLOCK, _DECLARED, _FILE, _LINES, _LANGUAGE = (0x38, 0x0A), (0x3C, 0x19), (0x3A, 0x0B), (0x10, 0x17), (0x13, 0x0B)
Attribute = tuple[tuple[int, int], object]


@dataclass(frozen=True)
class Dwarf:
    """Units of a program, by the source file: writes the debug sections.

    `expressions` places members as DWARF 2 does. With `sibling`, every structure says the next entry is at that byte.
    """

    units: Mapping[str, Sequence[Type]]
    version: int = 5
    order: Order = "little"
    address_size: int = 8
    expressions: bool = False
    sibling: int | None = None
    header: tuple[str, str] = ("arch/x86/include/asm", "pgtable_types.h")

    def sections(self) -> dict[str, bytes]:
        """The debug sections by name."""
        strings = Strings(b"first\x00")
        info, abbrev = bytearray(), bytearray()
        for path, types in self.units.items():
            info += self._unit(path, types, len(info), len(abbrev), abbrev, strings)
        return {
            ".debug_info": bytes(info),
            ".debug_abbrev": bytes(abbrev),
            ".debug_str": bytes(strings.data),
            ".debug_line": self._lines(),
        }

    def _unit(
        self, path: str, types: Sequence[Type], start: int, abbrevs: int, abbrev: bytearray, strings: Strings
    ) -> bytes:
        end = "<" if self.order == "little" else ">"
        head = 12 if self.version >= 5 else 11
        body, codes = bytearray(), bytearray()
        places: dict[Type, int] = {}
        patches: list[tuple[int, Type]] = []
        count = 0

        def die(tag: int, attributes: Sequence[Attribute], children: bool = False) -> None:
            nonlocal count, codes, body
            count += 1
            codes += uleb(count) + uleb(tag) + bytes([children])
            body += uleb(count)
            for (name, form), value in attributes:
                codes += uleb(name) + uleb(form)
                if isinstance(value, Type):
                    patches.append((len(body), value))
                    body += bytes(4)
                elif isinstance(value, str):
                    body += struct.pack(end + "I", strings.add(value))
                elif isinstance(value, bytes):
                    body += bytes([len(value)]) + value
                elif isinstance(value, int):
                    fixed = {0x06: 4, 0x0B: 1, 0x13: 4, 0x17: 4, 0x19: 0}
                    body += sleb(value) if form == 0x0D else value.to_bytes(fixed[form], self.order)
            codes += b"\x00\x00"

        die(0x11, [(_NAME, path), (_LANGUAGE, 12), (_LINES, 0)], children=True)
        for type_ in ordered(types):
            places[type_] = head + len(body)
            named: list[Attribute] = [(_NAME, type_.name)] if type_.name else []
            to: list[Attribute] = [(_TYPE, type_.to)] if type_.to else []
            if isinstance(type_, Struct):
                size: list[Attribute] = [(_DECLARED, 0)] if type_.declaration else [(_SIZE, type_.size)]
                behind: list[Attribute] = [] if self.sibling is None else [((0x01, 0x13), self.sibling)]
                die(0x17 if type_.union else 0x13, named + size + behind, children=True)
                for name, of, offset in type_.members:
                    place: Attribute = (_PLACE_BLOCK, b"\x23" + uleb(offset)) if self.expressions else (_PLACE, offset)
                    die(0x0D, [*([(_NAME, name)] if name else []), (_TYPE, of), *([] if type_.union else [place])])
                body += b"\x00"
            elif isinstance(type_, Enum):
                die(0x04, [*named, (_SIZE, 4)], children=True)
                for name, value in type_.values.items():
                    die(0x28, [(_NAME, name), (_VALUE, value)])
                body += b"\x00"
            elif isinstance(type_, Array):
                die(0x01, to, children=True)
                die(0x21, [(_UPPER, type_.length - 1)] if type_.length else [])
                body += b"\x00"
            elif isinstance(type_, Int):
                die(0x24, [*named, (_SIZE, type_.size)])
            else:
                tags = {Pointer: 0x0F, Typedef: 0x16, Const: 0x26, Variable: 0x34}
                declared: list[Attribute] = [(_FILE, 1)] if isinstance(type_, Typedef) else []
                die(tags[type(type_)], [*named, *to, *declared])
        body += b"\x00"
        abbrev += codes + b"\x00"
        for at, type_ in patches:
            body[at : at + 4] = struct.pack(end + "I", places[type_])
        if self.version >= 5:
            header = struct.pack(end + "IHBBI", len(body) + 8, self.version, 1, self.address_size, abbrevs)
        else:
            header = struct.pack(end + "IHIB", len(body) + 7, self.version, abbrevs, self.address_size)
        return header + body

    def _lines(self) -> bytes:
        end = "<" if self.order == "little" else ">"
        directory, name = (text.encode() + b"\x00" for text in self.header)
        numbers = bytes([1, 1, 1, 0xFB, 14, 1])
        if self.version >= 5:
            paths = b"\x01\x01\x08\x02" + b"/build\x00" + directory
            files = b"\x02\x01\x08\x02\x0b\x02" + b"unit.c\x00\x00" + name + b"\x01"
            rest = numbers + paths + files
            head = struct.pack(end + "HBBI", 5, self.address_size, 0, len(rest))
        else:
            rest = numbers + directory + b"\x00" + name + b"\x01\x00\x00" + b"\x00"
            head = struct.pack(end + "HI", self.version, len(rest))
        return struct.pack(end + "I", len(head) + len(rest)) + head + rest


@dataclass(frozen=True)
class Elf:
    """An ELF file: sections by name, and symbols (address, size) by name."""

    sections: Mapping[str, bytes]
    symbols: Mapping[str, tuple[int, int]] | None = None
    bits: int = 64
    order: Order = "little"
    machine: int = 62
    banner: str = "Linux version 6.1.0-test (someone@host) #1"
    base: int = 0xFFFFFFFF_82000000
    compressed: bool = False
    no_data: bool = False  # As in a file of debug information alone.

    def build(self) -> bytes:
        """The file."""
        end = "<" if self.order == "little" else ">"
        base = self.base & (1 << self.bits) - 1
        names = Strings()
        table: list[tuple[int, int, int, int, bytes, int, int, int]] = [(0, 0, 0, 0, b"", 0, 0, 0)]
        rodata = self.banner.encode() + b"\x00"
        table.append((names.add(".rodata"), SHT_NOBITS if self.no_data else SHT_PROGBITS, 2, base, rodata, 0, 0, 0))
        for name, data in self.sections.items():
            kind = SHT_NOTE if name.startswith(".note") else SHT_PROGBITS
            kind = SHT_NOBITS if self.no_data and name == ".BTF" else kind
            packed = self.compressed and name.startswith(".debug")
            table.append((names.add(name), kind, 0x800 * packed, 0, self._compress(data) if packed else data, 0, 0, 0))
        if self.symbols is not None:
            entries, strings = self._symbols({"linux_banner": (base, len(rodata)), **self.symbols})
            table.append(
                (names.add(".symtab"), SHT_SYMTAB, 0, 0, entries, len(table) + 1, 0, 24 if self.bits == 64 else 16)
            )
            table.append((names.add(".strtab"), SHT_STRTAB, 0, 0, strings, 0, 0, 0))
        names_at = names.add(".shstrtab")
        table.append((names_at, SHT_STRTAB, 0, 0, bytes(names.data), 0, 0, 0))
        head = 64 if self.bits == 64 else 52
        body, headers = b"", b""
        for name_at, kind, flags, address, data, link, info, size in table:
            fields = (name_at, kind, flags, address, head + len(body), len(data), link, info, 1, size)
            headers += struct.pack(end + ("IIQQQQIIQQ" if self.bits == 64 else "10I"), *fields)
            body += b"" if kind == SHT_NOBITS else data
        ident = b"\x7fELF" + bytes([self.bits // 32, 1 if self.order == "little" else 2, 1]) + bytes(9)
        entry = (64, 40)[self.bits == 32]
        header = struct.pack(
            end + ("HHIQQQIHHHHHH" if self.bits == 64 else "HHIIIIIHHHHHH"),
            *(ET_EXEC, self.machine, 1, 0, 0, head + len(body), 0, head, 0, 0, entry, len(table), len(table) - 1),
        )
        return ident + header + body + headers

    def _symbols(self, symbols: Mapping[str, tuple[int, int]]) -> tuple[bytes, bytes]:
        end = "<" if self.order == "little" else ">"
        strings, entries = Strings(), bytes(24 if self.bits == 64 else 16)
        for name, (address, size) in symbols.items():
            at = strings.add(name)
            if self.bits == 64:
                entries += struct.pack(end + "IBBHQQ", at, 0x11, 0, 1, address, size)
            else:
                entries += struct.pack(end + "IIIBBH", at, address, size, 0x11, 0, 1)
        return entries, bytes(strings.data)

    def _compress(self, data: bytes) -> bytes:
        end = "<" if self.order == "little" else ">"
        layout = end + ("IIQQ" if self.bits == 64 else "III")
        fields = (1, 0, len(data), 1) if self.bits == 64 else (1, len(data), 1)
        return struct.pack(layout, *fields) + zlib.compress(data)
