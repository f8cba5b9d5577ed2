# SPDX-License-Identifier: GPL-2.0-or-later
"""The log since Linux 5.10: a ring of descriptors with ids that count on, and a ring of text blocks they point into."""

from __future__ import annotations

from collections.abc import Iterator

from mdf.core.errors import AddressError, FormatError
from mdf.core.kernel import Kernel
from mdf.dmesg.memory import Region, Structure, read, variable
from mdf.dmesg.record import Damage, Record

_INT = 4
_SIZE_BITS_MAX = 31
_STATE_BITS = 2  # The topmost of the word that also has the id.
_TEXT_STATES = (1, 2)  # Committed and finalized; reserved is not written yet, reusable not there any more.


class LocklessRing:
    """`prb`. If `partial` and known, the records since `clear_seq`."""

    def __init__(self, kernel: Kernel, *, partial: bool) -> None:
        info, self._long = kernel.info, kernel.dump.bits // 8
        ring = Structure(kernel, "printk_ringbuffer")
        head = read(kernel, variable(kernel, "prb", self._long), ring.size, "struct printk_ringbuffer")

        def member(width: int, *path: str) -> int:
            return ring.value(head, ring.field(width, *path))

        descriptors, texts = "printk_ringbuffer.desc_ring", "printk_ringbuffer.text_data_ring"
        self._count = _power(member(_INT, descriptors, "prb_desc_ring.count_bits"), "descriptors")
        self._head_id = member(self._long, descriptors, "prb_desc_ring.head_id", "atomic_long_t.counter")
        self._tail_id = member(self._long, descriptors, "prb_desc_ring.tail_id", "atomic_long_t.counter")
        self._id_mask = (1 << kernel.dump.bits - _STATE_BITS) - 1

        self._desc = Structure(kernel, "prb_desc")
        self._state = self._desc.field(self._long, "prb_desc.state_var", "atomic_long_t.counter")
        self._begin, self._next = (
            self._desc.field(self._long, "prb_desc.text_blk_lpos", f"prb_data_blk_lpos.{name}")
            for name in ("begin", "next")
        )
        self._info = Structure(kernel, "printk_info")
        self._ts_nsec = self._info.field(8, "printk_info.ts_nsec")
        self._text_len = self._info.field(2, "printk_info.text_len")
        has_caller = info.offset("printk_info.caller_id") is not None
        self._caller_id = self._info.field(4, "printk_info.caller_id") if has_caller else None

        def array(pointer: str, structure: Structure) -> Region:
            address = member(self._long, descriptors, pointer)
            return Region(kernel, address, self._count * structure.size, f"array of {structure.name}")

        self._descs = array("prb_desc_ring.descs", self._desc)
        self._infos = array("prb_desc_ring.infos", self._info)
        size = _power(member(_INT, texts, "prb_data_ring.size_bits"), "text bytes")
        self._text = Region(kernel, member(self._long, texts, "prb_data_ring.data"), size, "ring of texts")

        knows_clearing = info.symbol("clear_seq") is not None and info.offset("printk_info.seq") is not None
        self.is_partial = partial and knows_clearing
        self._seq = self._info.field(8, "printk_info.seq") if self.is_partial else None
        self._clear_seq = _clear_seq(kernel) if self.is_partial else 0

    def records(self, damage: Damage) -> Iterator[Record]:
        """The records in the order of their ids. Those that were being written when the kernel stopped are left out."""
        for number in self._ids(damage):
            try:
                record = self._record(number)
            except (AddressError, FormatError) as error:
                damage.add(f"The record with id {number:#x} is lost: {error}.")
            else:
                if record:
                    yield record

    def _ids(self, damage: Damage) -> Iterator[int]:
        head, tail = self._head_id & self._id_mask, self._tail_id & self._id_mask
        span = (head - tail & self._id_mask) + 1
        if span > self._count:
            damage.add(f"Between tail_id {tail:#x} and head_id {head:#x} are more than {self._count} records.")
            span = self._count
        for number in range(head - span + 1, head + 1):
            yield number & self._id_mask

    def _record(self, number: int) -> Record | None:
        slot = number % self._count
        desc = self._descs.read(slot * self._desc.size, self._desc.size)
        word = self._desc.value(desc, self._state)
        if word & self._id_mask != number or word >> self._id_mask.bit_length() not in _TEXT_STATES:
            return None
        info = self._infos.read(slot * self._info.size, self._info.size)
        if self._seq and self._info.value(info, self._seq) < self._clear_seq:
            return None
        size = self._text.size
        begin, end = (self._desc.value(desc, lpos) % size for lpos in (self._begin, self._next))
        if begin == end:  # No text, or lost for want of room.
            return None
        start = begin
        if begin > end:
            # A block that does not fit before the end of the ring is at its start. Newer kernels use the ring up.
            start, end = (0, end) if end else (begin, size)
        room = end - start - self._long
        if room < 0 or self._text.uint(start, self._long) != number:
            raise FormatError(f"its text at {begin:#x} is another one's")
        return Record(
            self._text.read(start + self._long, min(self._info.value(info, self._text_len), room)),
            self._info.value(info, self._ts_nsec),
            self._info.value(info, self._caller_id) if self._caller_id else None,
        )


def _power(bits: int, what: str) -> int:
    if bits > _SIZE_BITS_MAX:
        raise FormatError(f"Impossible printk_ringbuffer: 2^{bits} {what}.")
    return 1 << bits


def _clear_seq(kernel: Kernel) -> int:
    """The sequence number of the first record since the log was cleared."""
    if kernel.info.size("latched_seq") is None:
        return variable(kernel, "clear_seq", 8)
    # Since 5.13 there are two copies, and the lowest bit of a counter in front says which one is not being written.
    latched = Structure(kernel, "latched_seq")
    data = read(kernel, kernel.info.symbol("clear_seq") or 0, latched.size, "clear_seq")
    copies = latched.field(2 * 8, "latched_seq.val")
    latch = int.from_bytes(data[:_INT], kernel.byteorder) & 1
    at = copies.offset + 8 * latch
    return int.from_bytes(data[at : at + 8], kernel.byteorder)
