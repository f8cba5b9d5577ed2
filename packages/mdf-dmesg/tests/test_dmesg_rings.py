# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs of the three generations, as the factory writes them on machines of every word size and byte order."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from factory import MIB, KdumpStyle, Model, Ram, Spec, Vmcore, build
from factory.machine import LINEAR_BASES
from factory.printk import LocklessRing, Message, PlainRing, StructuredLog, put_variable
from linear import Linear
from mdf.core.arch import ARCHITECTURES, Architecture
from mdf.core.dumps import Dump, open_dump
from mdf.core.errors import AddressError, FormatError, InputError, MdfError, MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import Kernel
from mdf.dmesg import Log, Record, read_log

Ring = LocklessRing | StructuredLog | PlainRing


def linear(base: int) -> Architecture:
    def machine(dump: Dump, info: Vmcoreinfo) -> Linear:
        return Linear(base, dump.bits)

    return Architecture(machine, lambda dump, info: 0)


NUMBERS = {"loongarch64": 258, "ppc64": 21, "s390x": 22, "i686": 3, "ppc": 20}
KNOWN: Mapping[str, Architecture] = {
    **ARCHITECTURES,
    **{name: linear(LINEAR_BASES[number]) for name, number in NUMBERS.items()},
}

RAM = (Ram(1 * MIB, 5 * MIB),)
X86_64 = Spec(release="6.1.0", ram=RAM, model=Model.FLATMEM)
SPECS = [
    pytest.param(X86_64, id="x86_64"),
    *(
        pytest.param(replace(X86_64, arch="linear", bits=bits, byteorder=order), id=f"{order}{bits}")
        for bits in (32, 64)
        for order in ("little", "big")
    ),
]


@contextmanager
def kernel_of(path: Path) -> Iterator[Kernel]:
    with open_dump(path) as dump:
        assert dump.info is not None
        yield Kernel(dump, dump.info, KNOWN)


def log_of(ring: Ring, path: Path, *, partial: bool = False) -> tuple[list[Record], Log]:
    """What is read from a machine with that ring."""
    core = ring.put_into(build(ring.spec))
    with kernel_of(core.elf(path / "vmcore")) as kernel:
        log = read_log(kernel, partial=partial)
        return list(log), log


def records(messages: list[Message], *, caller: bool = True) -> list[Record]:
    return [Record(each.text, each.ts_nsec, each.caller_id if caller else None) for each in messages]


def numbered(count: int) -> list[Message]:
    """Messages of many lengths, 0 among them, with times and callers."""
    return [
        Message(b"%d " % number * (number * 7 % 11), number * 1_000_000_007, number | (number % 3 == 0) << 31)
        for number in range(count)
    ]


def kinds(spec: Spec) -> list[Spec]:
    return [replace(spec, release=release) for release in ("3.5.0", "3.11.0", "5.1.0")]


# The ring since 5.10


@pytest.mark.parametrize("spec", SPECS)
def test_a_lockless_ring_that_is_not_full_gives_all_its_records(spec: Spec, tmp_path: Path) -> None:
    messages = numbered(9)
    ring = LocklessRing(spec, count_bits=4, size_bits=10)
    for message in messages:
        ring.append(message)
    found, log = log_of(ring, tmp_path)
    assert found == records(messages)
    assert log.damage.count == 0


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("count_bits", "size_bits"), [(4, 12), (8, 9)], ids=["descriptors", "texts"])
@pytest.mark.parametrize("use_up", [False, True])
def test_a_lockless_ring_that_was_written_round_gives_its_newest_records_in_order(
    spec: Spec, count_bits: int, size_bits: int, use_up: bool, tmp_path: Path
) -> None:
    messages = numbered(300)
    ring = LocklessRing(spec, count_bits=count_bits, size_bits=size_bits, use_up=use_up)
    for message in messages:
        ring.append(message)
    found, log = log_of(ring, tmp_path)
    assert 0 < len(ring.live) < 300
    assert found == records(messages[-len(ring.live) :])
    assert log.damage.count == 0


def test_a_text_block_that_ends_where_the_ring_ends_is_read_there(tmp_path: Path) -> None:
    ring = LocklessRing(X86_64, count_bits=4, size_bits=6, use_up=True)
    messages = [Message(b"x" * 24), Message(b"y" * 24)]
    for message in messages:
        ring.append(message)
    assert ring.text_head == ring.size
    assert log_of(ring, tmp_path)[0] == records(messages)


def test_an_empty_lockless_ring_has_no_records(tmp_path: Path) -> None:
    found, log = log_of(LocklessRing(X86_64, count_bits=4, size_bits=10), tmp_path)
    assert (found, log.damage.count) == ([], 0)


def test_records_that_are_reserved_reusable_without_text_or_of_another_id_are_left_out(tmp_path: Path) -> None:
    ring = LocklessRing(X86_64, count_bits=4, size_bits=10)
    ring.append(Message(b"committed"), state=1)
    ring.append(Message(b"reserved"), state=0)
    ring.append(Message(b"reusable"), state=3)
    ring.append(Message(b"no room for it"), room=-1)
    ring.set_state(ring.append(Message(b"older")) - 16, state=2)
    ring.append(Message(b"finalized"))
    found, log = log_of(ring, tmp_path)
    assert [record.text for record in found] == [b"committed", b"finalized"]
    assert log.damage.count == 0


def test_a_text_longer_than_its_block_is_cut(tmp_path: Path) -> None:
    ring = LocklessRing(X86_64, count_bits=4, size_bits=10)
    ring.append(Message(b"0123456789abcdef-and-more"), room=16)
    ring.append(Message(b"next"))
    assert [record.text for record in log_of(ring, tmp_path)[0]] == [b"0123456789abcdef", b"next"]


def test_a_torn_text_block_costs_its_record_alone(tmp_path: Path) -> None:
    ring = LocklessRing(X86_64, count_bits=4, size_bits=10)
    messages = numbered(6)
    for message in messages:
        ring.append(message)
    torn, begin = ring.live[2]
    ring.text[begin : begin + 8] = b"\xff" * 8
    found, log = log_of(ring, tmp_path)
    assert found == records(messages[:2] + messages[3:])
    assert log.damage.lines == [f"The record with id {torn:#x} is lost: its text at {begin:#x} is another one's."]


@pytest.mark.parametrize("spec", SPECS)
def test_ids_too_far_apart_are_damage_and_the_newest_records_are_there(spec: Spec, tmp_path: Path) -> None:
    ring = LocklessRing(spec, count_bits=4, size_bits=10)
    messages = numbered(6)
    for message in messages:
        ring.append(message)
    ring.tail = ring.head + 1
    found, log = log_of(ring, tmp_path)
    assert found == records(messages)
    assert log.damage.count == 1
    assert "are more than 16 records" in log.damage.lines[0]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("latched", [False, True])
@pytest.mark.parametrize("clear_seq", [0, 255, 290, 300])
def test_partial_gives_the_records_since_the_log_was_cleared(
    spec: Spec, latched: bool, clear_seq: int, tmp_path: Path
) -> None:
    messages = numbered(300)
    ring = LocklessRing(spec, count_bits=6, size_bits=12, clear_seq=clear_seq, latched=latched)
    for message in messages:
        ring.append(message)
    found, log = log_of(ring, tmp_path, partial=True)
    assert log.is_partial
    assert found == records(messages[max(clear_seq, 300 - len(ring.live)) :])


def test_partial_of_a_kernel_that_does_not_say_when_is_everything(tmp_path: Path) -> None:
    spec = replace(X86_64, without=("SYMBOL(clear_seq)",))
    ring = LocklessRing(spec, count_bits=4, size_bits=10, clear_seq=5)
    for message in numbered(8):
        ring.append(message)
    found, log = log_of(ring, tmp_path, partial=True)
    assert not log.is_partial
    assert len(found) == 8


@pytest.mark.parametrize("size_bits", [13, 15])
def test_pages_that_the_dump_does_not_have_cost_what_lies_in_them(size_bits: int, tmp_path: Path) -> None:
    ring = LocklessRing(X86_64, count_bits=8, size_bits=size_bits)
    messages = [Message(b"%3d" % number * 9, number) for number in range(200)]
    for message in messages:
        ring.append(message)
    core = ring.put_into(build(X86_64))
    missing = next(pfn for pfn in sorted(core.kernel_pfns) if bytes(ring.text[4096:4160]) in core.page(pfn))
    lost = {number for number, message in enumerate(messages) if 4096 - 40 < number * 40 < 8192}
    with kernel_of(core.kdump(tmp_path / "dump", KdumpStyle(excluded=frozenset({missing})))) as kernel:
        log = read_log(kernel)
        assert list(log) == records([message for number, message in enumerate(messages) if number not in lost])
    assert log.damage.count == len(lost)
    assert len(log.damage.lines) == log.damage.SHOWN
    assert "the ring of texts is not in the dump at " in log.damage.lines[0]


@pytest.mark.parametrize("error", [AddressError, FormatError, InputError])
def test_a_page_that_cannot_be_read_costs_what_lies_in_it(
    error: type[MdfError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = LocklessRing(X86_64, count_bits=4, size_bits=13)
    messages = [Message(bytes([letter]) * 1016) for letter in b"abcdefg"]
    for message in messages:
        ring.append(message)
    core = ring.put_into(build(X86_64))
    with kernel_of(core.elf(tmp_path / "vmcore")) as kernel:
        read = kernel.dump.read

        def spoiled(paddr: int, size: int) -> bytes:
            data = read(paddr, size)
            if b"c" * 500 in data:
                raise error("unreadable")
            return data

        monkeypatch.setattr(kernel.dump, "read", spoiled)
        log = read_log(kernel)
        assert list(log) == records(messages[4:])
    assert log.damage.count == 4


def test_a_large_ring_needs_little_memory(tmp_path: Path) -> None:
    ring = LocklessRing(X86_64, count_bits=10, size_bits=20)
    for number in range(1000):
        ring.append(Message(b"x" * 1000, number))
    with kernel_of(ring.put_into(build(X86_64)).elf(tmp_path / "vmcore")) as kernel:
        log = read_log(kernel)
        tracemalloc.start()
        assert sum(len(record.text) for record in log) == 1_000_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 400_000


# The log of 3.5 to 5.9


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("count", [0, 1, 20, 300])
def test_a_structured_log_gives_its_records_in_order_without_their_dictionaries(
    spec: Spec, count: int, tmp_path: Path
) -> None:
    messages = numbered(count)
    for known in kinds(spec):
        ring = StructuredLog(known, 4096)
        for message in messages:
            ring.append(message, b"SUBSYSTEM=pci\0DEVICE=+pci:0000:00:01.0")
        found, log = log_of(ring, tmp_path)
        assert len(found) == count if count < 30 else 20 < len(found) < count
        assert found == records(messages[count - len(found) :], caller=ring.has_caller)
        assert log.damage.count == 0
        assert (ring.first > ring.next) == (count == 300)


@pytest.mark.parametrize("spec", SPECS)
def test_partial_of_a_structured_log_begins_at_clear_idx(spec: Spec, tmp_path: Path) -> None:
    ring = StructuredLog(replace(spec, release="4.19.0"), 4096)
    messages = numbered(30)
    indexes = [ring.append(message) for message in messages]
    ring.clear = indexes[12]
    found, log = log_of(ring, tmp_path, partial=True)
    assert log.is_partial
    assert found == records(messages[12:], caller=False)
    ring.clear = ring.next
    assert log_of(ring, tmp_path, partial=True)[0] == []


def spoiled(change: Callable[[StructuredLog, list[int]], None], path: Path) -> tuple[list[Record], Log]:
    """The log of 30 records, which fill the buffer and go round, after a change."""
    ring = StructuredLog(replace(X86_64, release="4.19.0"), 1024)
    indexes = [ring.append(Message(b"%02d" % number * 15, number)) for number in range(30)]
    assert ring.next < ring.first
    change(ring, indexes)
    return log_of(ring, path)


def test_a_cyclic_log_ends_and_says_so(tmp_path: Path) -> None:
    whole, _ = spoiled(lambda ring, indexes: None, tmp_path)

    def skip_next(ring: StructuredLog, indexes: list[int]) -> None:
        # From behind log_next_idx the chain would lead to the end of the buffer, and round for ever.
        ring.put_length(indexes[-1], ring.length(indexes[-1]) + ring.length(indexes[0]))

    found, log = spoiled(skip_next, tmp_path)
    assert found[:-1] == whole[:-1]
    assert log.damage.count == 1
    assert log.damage.lines[0].startswith("The records do not meet log_next_idx ")


def test_a_length_that_leads_outside_is_said_and_the_records_from_the_start_are_there(tmp_path: Path) -> None:
    whole, _ = spoiled(lambda ring, indexes: None, tmp_path)
    found, log = spoiled(lambda ring, indexes: ring.put_length(ring.first, 0xFFF0), tmp_path)
    assert found[1:] == whole[-len(found) + 1 :]
    assert len(found) > 3
    assert log.damage.lines[0].startswith("Index outside log_buf detected: ")
    # The damaged record's text is its own, as far as text_len says.
    assert found[0] == whole[0]


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_length_shorter_than_a_record_ends_the_walk(length: int, tmp_path: Path) -> None:
    whole, _ = spoiled(lambda ring, indexes: None, tmp_path)
    found, log = spoiled(lambda ring, indexes: ring.put_length(indexes[-2], length), tmp_path)
    assert found == whole[:-2]
    assert log.damage.count == 1
    assert log.damage.lines[0].endswith(f"are lost: one is of length {length}.")


def test_a_text_longer_than_its_record_is_cut_and_said(tmp_path: Path) -> None:
    def lengthen(ring: StructuredLog, indexes: list[int]) -> None:
        ring.buffer[indexes[-1] + 10 : indexes[-1] + 12] = b"\xff\xff"

    whole, _ = spoiled(lambda ring, indexes: None, tmp_path)
    found, log = spoiled(lengthen, tmp_path)
    assert [record.text.rstrip(b"\0") for record in found] == [record.text for record in whole]
    assert log.damage.count == 1


# The ring before 3.5


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("release", ["2.6.24", "2.6.32", "3.4.0"])
@pytest.mark.parametrize("lines", [0, 3, 100])
def test_a_plain_ring_gives_its_characters_unchanged(spec: Spec, release: str, lines: int, tmp_path: Path) -> None:
    ring = PlainRing(replace(spec, release=release), 1024)
    text = b"".join(b"<6>[%5d.000000] line \xe9\x07\r %d\n" % (number, number) for number in range(lines)) + b"cut"
    ring.append(text)
    found, log = log_of(ring, tmp_path)
    assert b"".join(record.text for record in found) == text[-1024:]
    assert all(record.text.endswith(b"\n") for record in found[:-1])
    assert {(record.ts_nsec, record.caller) for record in found} == {(None, None)}
    assert log.damage.count == 0


@pytest.mark.parametrize("size", [0, 1000, 1 << 31])
def test_a_plain_ring_of_an_impossible_size_is_refused(size: int, tmp_path: Path) -> None:
    ring = PlainRing(replace(X86_64, release="2.6.32"), 1024)
    core = ring.put_into(build(ring.spec))
    put_variable(core, "log_buf_len", size, 4)
    core = replace(core, vmcoreinfo=moved(core, "log_buf_len"))
    with kernel_of(core.elf(tmp_path / "vmcore")) as kernel, pytest.raises(FormatError, match="Impossible log_buf"):
        read_log(kernel)


def moved(core: Vmcore, name: str) -> str:
    """VMCOREINFO with the variable where it was put last."""
    lines = core.vmcoreinfo.splitlines()
    kept = [line for line in lines if not line.startswith(f"SYMBOL({name})=")]
    return "\n".join([*kept, f"SYMBOL({name})={core.symbols[name]:x}"]) + "\n"


def test_a_missing_page_of_a_plain_ring_is_said(tmp_path: Path) -> None:
    ring = PlainRing(replace(X86_64, release="2.6.32"), 1 << 14)
    ring.append(b"".join(b"%07d\n" % number for number in range(1200)))
    core = ring.put_into(build(ring.spec))
    missing = next(pfn for pfn in core.kernel_pfns if core.page(pfn).startswith(b"0000512"))
    with kernel_of(core.kdump(tmp_path / "dump", KdumpStyle(excluded=frozenset({missing})))) as kernel:
        log = read_log(kernel)
        numbers = [int(record.text) for record in log]
    assert numbers == [*range(512), *range(1024, 1200)]
    assert len(log.damage.lines) == 1


# What holds for all


def small(spec: Spec) -> list[Ring]:
    """A ring of each generation with some records."""
    lockless = LocklessRing(spec, count_bits=4, size_bits=9)
    structured = StructuredLog(replace(spec, release="5.4.0"), 1024)
    plain = PlainRing(replace(spec, release="2.6.32"), 1024)
    for message in numbered(40):
        lockless.append(message)
        structured.append(message)
        plain.append(message.text + b"\n")
    return [lockless, structured, plain]


OPTIONAL = {
    "SYMBOL(clear_seq)",
    "SYMBOL(clear_idx)",
    "SIZE(latched_seq)",
    "OFFSET(latched_seq.val)",
    "SIZE(prb_desc_ring)",
    "SIZE(prb_data_blk_lpos)",
    "SIZE(prb_data_ring)",
    "SIZE(atomic_long_t)",
    "OFFSET(printk_info.seq)",
    "OFFSET(printk_info.caller_id)",
    "OFFSET(printk_log.caller_id)",
    "OFFSET(printk_log.dict_len)",
}


@pytest.mark.parametrize("ring", small(X86_64), ids=lambda ring: type(ring).__name__)
def test_every_key_is_needed_or_known_to_be_optional_and_none_can_do_harm(ring: Ring, tmp_path: Path) -> None:
    plain = build(ring.spec)
    core = ring.put_into(plain)
    with open_dump(core.elf(tmp_path / "vmcore")) as dump:
        assert dump.info is not None
        for line in core.vmcoreinfo.removeprefix(plain.vmcoreinfo).splitlines():
            key = line.split("=")[0]
            without = {known: value for known, value in dump.info.values.items() if known != key}
            kernel = Kernel(dump, Vmcoreinfo(without), KNOWN)
            if key in OPTIONAL:
                assert list(read_log(kernel))
            else:
                with pytest.raises(MissingInfoError, match="Can't "):
                    read_log(kernel)
            for value in ("1", "4000", "ffffffff", "ffff880000000000", "fffffffffffffffe"):
                either_reads_or_says_so(Kernel(dump, Vmcoreinfo({**without, key: value}), KNOWN))


def either_reads_or_says_so(kernel: Kernel) -> None:
    """Any other error fails the test."""
    with suppress(MdfError):
        assert len(list(read_log(kernel, partial=True))) <= 2048


@pytest.mark.parametrize("seed", range(6))
def test_random_damage_ends_soon_and_in_records_or_one_line(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    [spec] = SPECS[source.randrange(len(SPECS))].values
    assert isinstance(spec, Spec)
    for ring in small(spec):
        core = ring.put_into(build(ring.spec))
        names = [name for name in core.symbols if name in ("prb", "log_buf_len", "log_first_idx", "log_next_idx")]
        memory, places = core.machine.memory, sorted(core.kernel_pfns)[-8:]
        for _ in range(4):
            for pfn in places:
                for at in source.sample(range(memory.page_size), 40):
                    memory.pages[pfn][at] = source.randrange(256)
            name = source.choice(names)
            image = core.symbols[name] - core.machine.image + core.machine.image_paddr
            memory.write(image + source.randrange(4), source.randbytes(1))
            with kernel_of(core.elf(tmp_path / "vmcore")) as kernel:
                either_reads_or_says_so(kernel)


@pytest.mark.parametrize(
    ("release", "count"), [("2.6.32", 40), ("3.4.113", 40), ("3.5.0", 40), ("5.9.16", 40), ("5.10.0", 40)]
)
def test_the_release_decides_between_the_logs_without_prb(release: str, count: int, tmp_path: Path) -> None:
    spec = replace(X86_64, release=release)
    expected = "PlainRing" if release < "3.5" else "StructuredLog"
    ring = PlainRing(spec, 1024) if expected == "PlainRing" else StructuredLog(spec, 1 << 14)
    for message in numbered(count):
        ring.append(b"<6>\n") if isinstance(ring, PlainRing) else ring.append(message)
    assert len(log_of(ring, tmp_path)[0]) == count
