# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel logs of the three generations, as printk would have left them, put into a machine that is built.

A test makes a ring, appends records, may spoil its bytes, and puts it into a `Vmcore`:

    ring = LocklessRing(spec, count_bits=4, size_bits=9)
    ring.append(Message(b"text", ts_nsec=1000))
    core = ring.put_into(build(spec))
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from factory.spec import Spec
from factory.vmcore import Vmcore


@dataclass(frozen=True)
class Message:
    """A record; `caller_id` has bit 31 set for a processor."""

    text: bytes
    ts_nsec: int = 0
    caller_id: int = 0


def put(core: Vmcore, data: bytes) -> int:
    """Store bytes somewhere in the kernel's memory; their virtual address."""
    paddr = core.machine.memory.allocate(len(data))
    core.machine.memory.write(paddr, data)
    return core.machine.virt(paddr)


def put_variable(core: Vmcore, name: str, value: int, width: int) -> None:
    """Store an integer variable in the kernel's image."""
    core.machine.memory.write_integer(core.machine.symbol(name, width, 8), value, width)


def with_lines(core: Vmcore, *lines: str) -> Vmcore:
    """The same machine with more lines in its VMCOREINFO, those that `spec.without` names left out."""
    kept = [line for line in lines if line.split("=")[0] not in core.spec.without]
    return replace(core, vmcoreinfo=core.vmcoreinfo + "".join(f"{line}\n" for line in kept))


def _symbols(core: Vmcore, *names: str) -> list[str]:
    return [f"SYMBOL({name})={core.symbols[name]:x}" for name in names]


@dataclass
class PlainRing:
    """A ring of characters of `size` bytes, before 3.5."""

    spec: Spec
    size: int
    log_end: int = 0
    buffer: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.buffer = bytearray(self.size)

    def append(self, text: bytes) -> None:
        """Write characters."""
        for byte in text:
            self.buffer[self.log_end % self.size] = byte
            self.log_end += 1

    def put_into(self, core: Vmcore) -> Vmcore:
        """Put the ring and its variables into the machine."""
        word = self.spec.word
        put_variable(core, "log_buf", put(core, bytes(self.buffer)), word)
        put_variable(core, "log_buf_len", self.size, 4)
        # An unsigned long until 2.6.24.
        put_variable(core, "log_end", self.log_end, word if self.spec.generation.release < (2, 6, 25) else 4)
        return with_lines(core, *_symbols(core, "log_buf", "log_buf_len", "log_end"))


@dataclass
class StructuredLog:
    """A buffer of records of `size` bytes, 3.5 to 5.9; `struct log` until 3.10, with callers since 5.1."""

    spec: Spec
    size: int
    first: int = 0
    next: int = 0
    clear: int = 0
    buffer: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.buffer = bytearray(self.size)

    @property
    def name(self) -> str:
        """The structure's name."""
        return "printk_log" if self.spec.generation.release >= (3, 11, 0) else "log"

    @property
    def has_caller(self) -> bool:
        """Whether the structure has a caller_id."""
        return self.spec.generation.release >= (5, 1, 0)

    @property
    def header(self) -> int:
        """The structure's size."""
        return 20 if self.has_caller else 16

    def length(self, index: int) -> int:
        """The length of the record at `index`."""
        return self._get(index + 8, 2)

    def put_length(self, index: int, length: int) -> None:
        """Change the length of the record at `index`."""
        self._put(index + 8, length, 2)

    def append(self, message: Message, dictionary: bytes = b"") -> int:
        """Write a record, over the oldest ones if need be; its index."""
        size = -(-(self.header + len(message.text) + len(dictionary)) // 4) * 4
        while not self._has_room(size):
            self.first = self._after(self.first)
        if self.next + size + self.header > self.size:
            self.buffer[self.next : self.next + self.header] = bytes(self.header)
            self.next = 0
        index = self.next
        self.buffer[index : index + size] = bytes(size)
        self._put(index, message.ts_nsec, 8)
        self._put(index + 8, size, 2)
        self._put(index + 10, len(message.text), 2)
        self._put(index + 12, len(dictionary), 2)
        self._put(index + 14, 0xC6, 2)
        if self.has_caller:
            self._put(index + 16, message.caller_id, 4)
        start = index + self.header
        self.buffer[start : start + len(message.text) + len(dictionary)] = message.text + dictionary
        self.next = index + size
        return index

    def _has_room(self, size: int) -> bool:
        if self.next > self.first or not any(self.buffer):
            return max(self.size - self.next, self.first) > size + self.header
        return self.first - self.next > size + self.header

    def _after(self, index: int) -> int:
        return index + self.length(index) if self.length(index) else self.length(0)

    def _put(self, offset: int, value: int, width: int) -> None:
        self.buffer[offset : offset + width] = value.to_bytes(width, self.spec.byteorder)

    def _get(self, offset: int, width: int) -> int:
        return int.from_bytes(self.buffer[offset : offset + width], self.spec.byteorder)

    def put_into(self, core: Vmcore) -> Vmcore:
        """Put the buffer and its variables into the machine."""
        put_variable(core, "log_buf", put(core, bytes(self.buffer)), self.spec.word)
        values = {"log_buf_len": self.size, "log_first_idx": self.first, "log_next_idx": self.next}
        for name, value in (values | {"clear_idx": self.clear}).items():
            put_variable(core, name, value, 4)
        offsets = {"ts_nsec": 0, "len": 8, "text_len": 10, "dict_len": 12}
        if self.has_caller:
            offsets["caller_id"] = 16
        return with_lines(
            core,
            *_symbols(core, "log_buf", *values, "clear_idx"),
            f"SIZE({self.name})={self.header}",
            *(f"OFFSET({self.name}.{member})={offset}" for member, offset in offsets.items()),
        )


_RESERVED, _COMMITTED, _FINALIZED, _REUSABLE = range(4)
_INFO = 88
_NO_TEXT = 1


@dataclass
class LocklessRing:
    """A ring of 2^count_bits descriptors and 2^size_bits text bytes, since 5.10.

    `descs`, `infos` and `text` are its memory; `block(id)` is where a record's text block begins.
    """

    spec: Spec
    count_bits: int
    size_bits: int
    clear_seq: int = 0
    latched: bool = True
    use_up: bool = False

    def __post_init__(self) -> None:
        self.count, self.size = 1 << self.count_bits, 1 << self.size_bits
        self.word = self.spec.word
        self.mask = (1 << self.spec.bits - 2) - 1
        self.head = self.tail = -(self.count + 1) & self.mask
        self.text_head = 0
        self.live: list[tuple[int, int]] = []
        self.descs = bytearray(self.count * 3 * self.word)
        self.infos = bytearray(self.count * _INFO)
        self.text = bytearray(self.size)
        self.seq = 0
        self.set_state(self.head, _REUSABLE)

    def append(self, message: Message, state: int = _FINALIZED, room: int | None = None) -> int:
        """Write a record, over the oldest ones if need be; its id. `room` reserves more or less than the text has."""
        number = self.head = self.head + 1 & self.mask
        if (self.head - self.tail & self.mask) >= self.count:
            self._drop_oldest()
        slot = number % self.count
        begin = end = _NO_TEXT
        size = len(message.text) if room is None else room
        if size >= 0:
            begin, end = self._allocate(number, size)
            start = self.block(begin, end) + self.word
            stored = message.text[:size] if room is not None else message.text
            self.text[start : start + len(stored)] = stored
            self.live.append((number, begin))
        for index, value in enumerate((begin, end), 1):
            self._put(self.descs, (slot * 3 + index) * self.word, value, self.word)
        self.set_state(number, state)
        at = slot * _INFO
        self._put(self.infos, at, self.seq, 8)
        self._put(self.infos, at + 8, message.ts_nsec, 8)
        self._put(self.infos, at + 16, len(message.text), 2)
        self._put(self.infos, at + 20, message.caller_id, 4)
        self.seq += 1
        return number

    def set_state(self, number: int, state: int) -> None:
        """Set a descriptor's state: reserved, committed, finalized, reusable (0 to 3)."""
        value = state << self.spec.bits - 2 | number
        self._put(self.descs, number % self.count * 3 * self.word, value, self.word)

    def block(self, begin: int, end: int) -> int:
        """Where the block of these logical positions is in the text ring: at 0 if it does not fit before the end."""
        last = end - 1 if self.use_up else end
        return 0 if begin // self.size != last // self.size else begin % self.size

    def _allocate(self, number: int, size: int) -> tuple[int, int]:
        begin = self.text_head
        length = -(-(size + self.word) // self.word) * self.word
        end = begin + length
        if self.block(begin, end) != begin % self.size:
            end = end // self.size * self.size + length
        while self.live and end - self.live[0][1] > self.size:
            self._drop_oldest()
        for place in {begin % self.size, self.block(begin, end)}:
            self._put(self.text, place, number, self.word)
        self.text_head = end
        return begin, end

    def _drop_oldest(self) -> None:
        self.set_state(self.tail, _REUSABLE)
        if self.live and self.live[0][0] == self.tail:
            del self.live[0]
        self.tail = self.tail + 1 & self.mask

    def _put(self, memory: bytearray, offset: int, value: int, width: int) -> None:
        memory[offset : offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, self.spec.byteorder)

    def put_into(self, core: Vmcore) -> Vmcore:
        """Put the rings and their variables into the machine."""
        word = self.word
        head = bytearray(11 * word)
        addresses = [put(core, bytes(memory)) for memory in (self.descs, self.infos, self.text)]
        self._put(head, 0, self.count_bits, 4)
        for index, value in enumerate((*addresses[:2], self.head, self.tail), 1):
            self._put(head, index * word, value, word)
        self._put(head, 6 * word, self.size_bits, 4)
        self._put(head, 7 * word, addresses[2], word)
        put_variable(core, "prb", put(core, bytes(head)), word)
        self._put_clear_seq(core)
        structures: dict[str, tuple[int, dict[str, int]]] = {
            "printk_ringbuffer": (11 * word, {"desc_ring": 0, "text_data_ring": 6 * word}),
            "prb_desc_ring": (
                6 * word,
                {"count_bits": 0, "descs": word, "infos": 2 * word, "head_id": 3 * word, "tail_id": 4 * word},
            ),
            "prb_desc": (3 * word, {"state_var": 0, "text_blk_lpos": word}),
            "prb_data_blk_lpos": (2 * word, {"begin": 0, "next": word}),
            "printk_info": (_INFO, {"seq": 0, "ts_nsec": 8, "text_len": 16, "caller_id": 20}),
            "prb_data_ring": (4 * word, {"size_bits": 0, "data": word}),
            "atomic_long_t": (word, {"counter": 0}),
        }
        if self.latched:
            structures["latched_seq"] = (24, {"val": 8})
        lines = [f"SIZE({name})={size}" for name, (size, _) in structures.items()]
        for name, (_, members) in structures.items():
            lines += [f"OFFSET({name}.{member})={offset}" for member, offset in members.items()]
        return with_lines(core, *_symbols(core, "prb", "clear_seq"), *lines)

    def _put_clear_seq(self, core: Vmcore) -> None:
        """An integer until 5.12; then a counter, whose lowest bit says which of the two copies behind it is right."""
        value = bytearray(24)
        if self.latched:
            self._put(value, 0, 7, 4)
            self._put(value, 8, 1 << 40, 8)
            self._put(value, 16, self.clear_seq, 8)
        else:
            self._put(value, 0, self.clear_seq, 8)
        core.machine.memory.write(core.machine.symbol("clear_seq", 24, 8), bytes(value))
