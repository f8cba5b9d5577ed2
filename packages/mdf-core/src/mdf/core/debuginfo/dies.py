# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries of DWARF (`elftools` DIEs): their attributes, and a walk that ends whatever damaged siblings say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mdf.core.errors import FormatError

_REF_ADDR = "DW_FORM_ref_addr"


def children(parent: Any) -> Iterator[Any]:
    """The entries right below `parent`, in order. Raises FormatError where they lead backwards."""
    if not parent.has_children:
        return
    unit, offset = parent.cu, parent.offset + parent.size
    while not (child := unit.get_DIE_from_refaddr(offset)).is_null():
        yield child
        following = _sibling(child) if child.has_children else offset + child.size
        if following <= offset:
            raise FormatError(f"DWARF: the entry at byte {offset} of .debug_info is followed by one before it")
        offset = following


def _sibling(die: Any) -> int:
    """Where the entry behind `die` and all below it begins."""
    attribute = die.attributes.get("DW_AT_sibling")
    if attribute is not None:
        return int(attribute.value) + (0 if attribute.form == _REF_ADDR else die.cu.cu_offset)
    # As of clang.
    offset, depth = die.offset + die.size, 1
    while depth:
        below = die.cu.get_DIE_from_refaddr(offset)
        depth += -1 if below.is_null() else bool(below.has_children)
        offset += below.size
    return int(offset)


def name_of(die: Any) -> str:
    """The name; empty without one."""
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode("utf-8", "replace") if attribute else ""


def number_of(die: Any, attribute: str) -> int | None:
    """A number; None if there is none, or if it has to be computed."""
    found = die.attributes.get(attribute)
    return int(found.value) if found is not None and isinstance(found.value, int) else None
