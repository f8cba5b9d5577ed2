# SPDX-License-Identifier: GPL-2.0-or-later
"""Page tables of any form, growing as ranges are mapped."""

from __future__ import annotations

from dataclasses import dataclass, replace

from factory.form import Form
from factory.memory import Memory


@dataclass(frozen=True)
class FormedTables:
    """The tables below the table at `root`."""

    memory: Memory
    root: int
    form: Form

    @classmethod
    def new(cls, memory: Memory, form: Form) -> FormedTables:
        """A top table with nothing in it."""
        tables = cls(memory, 0, form)
        return replace(tables, root=tables.allocate(form.width << form.bits[0], 0))

    def allocate(self, size: int, level: int) -> int:
        """Physical address of a new table with nothing in it, aligned to its size."""
        table = self.memory.allocate(size, size)
        self.clear(table, size, level)
        return table

    def clear(self, table: int, size: int, level: int) -> None:
        """Nothing in a table."""
        if empty := self.form.empty(self.form.shifts[level]):
            for slot in range(table, table + size, self.form.width):
                self.memory.write_integer(slot, empty, self.form.width)

    def map(self, vaddr: int, paddr: int, size: int, shift: int) -> None:
        """Map at least [vaddr, vaddr + size) to [paddr, ...) with pages of `1 << shift` bytes."""
        step = 1 << shift
        if (vaddr - paddr) % step:
            raise ValueError(f"{vaddr:#x} -> {paddr:#x} can't be mapped by pages of {step:#x} bytes")
        start, end = vaddr // step * step, vaddr + size
        for offset in range(0, end - start, step):
            self._leaf(start + offset, paddr - vaddr + start + offset, shift)

    def _leaf(self, vaddr: int, paddr: int, shift: int) -> None:
        form = self.form
        last = next(level for level, covered in enumerate(form.shifts) if covered <= shift)
        # A page larger than what an entry covers has as many equal entries.
        for part in range(vaddr, vaddr + (1 << shift), 1 << form.shifts[last]):
            self.put(part, last, form.leaf(paddr, shift))

    def put(self, vaddr: int, level: int, entry: int) -> None:
        """Write an entry as it is at a level of the walk of `vaddr`."""
        slot = self.slots(vaddr, level)[-1]
        empty = self.form.empty(self.form.shifts[level])
        if int.from_bytes(self.memory.read(slot, self.form.width), self.memory.byteorder) not in (empty, entry):
            raise ValueError(f"{vaddr:#x} is mapped already")
        self.memory.write_integer(slot, entry, self.form.width)

    def walk(self, vaddr: int) -> list[tuple[int, int]]:
        """Where the entries of a walk are, from the top level down, and what they are."""
        slots = self.slots(vaddr, len(self.form.shifts) - 1)
        return [(at, int.from_bytes(self.memory.read(at, self.form.width), self.memory.byteorder)) for at in slots]

    def slots(self, vaddr: int, level: int) -> list[int]:
        """Physical addresses of the entries of a walk down to a level, with tables made on the way."""
        form, table, slots = self.form, self.root, []
        for number, (shift, bits) in enumerate(zip(form.shifts, form.bits, strict=True)):
            slots.append(table + (vaddr >> shift & (1 << bits) - 1) * form.width)
            if number == level:
                break
            entry = int.from_bytes(self.memory.read(slots[-1], form.width), self.memory.byteorder)
            if entry == form.empty(shift):
                size = form.inset + (form.width << form.bits[number + 1])
                entry = form.table(self.allocate(size, number + 1) + form.inset) | form.mark(shift)
                self.memory.write_integer(slots[-1], entry, form.width)
            table = form.address(entry)
        return slots
