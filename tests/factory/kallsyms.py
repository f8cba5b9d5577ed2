# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's table of its own symbols in its memory, as scripts/kallsyms.c makes it, in every form since 6.0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from factory.layout import ByteOrder
from factory.printk import put, with_lines
from factory.vmcore import Vmcore

FORMS = ("addresses", "base", "percpu", "itself")
STRIDE = 256


def compressed(names: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Each name in codes, and the text of each of the 256 codes."""
    used = {code for name in names for code in name}
    texts = [bytes([code]) if code in used else b"" for code in range(256)]
    coded = [list(name) for name in names]
    for code in (code for code in reversed(range(256)) if not texts[code]):
        pairs = Counter(pair for name in coded for pair in pairwise(name))
        if not pairs or max(pairs.values()) < 2:
            break
        first, second = max(pairs, key=lambda pair: (pairs[pair], pair))
        texts[code] = texts[first] + texts[second]
        coded = [_merged(name, (first, second), code) for name in coded]
    return [bytes(name) for name in coded], texts


def _merged(name: list[int], pair: tuple[int, int], code: int) -> list[int]:
    merged: list[int] = []
    at = 0
    while at < len(name):
        found = tuple(name[at : at + 2]) == pair
        merged.append(code if found else name[at])
        at += 2 if found else 1
    return merged


def names_and_markers(coded: Sequence[bytes], byteorder: ByteOrder) -> tuple[bytes, bytes]:
    """The table of names, and the place of each 256th."""
    table, markers = bytearray(), []
    for number, codes in enumerate(coded):
        if number % STRIDE == 0:
            markers.append(len(table))
        size = len(codes)
        table += bytes([size] if size < 128 else [size & 127 | 128, size >> 7]) + codes
    return bytes(table), b"".join(marker.to_bytes(4, byteorder) for marker in markers)


def put_kallsyms(
    core: Vmcore, symbols: Mapping[str, int], form: str = "base", *, markers: bool = True, letter: str = "D"
) -> Vmcore:
    """Writes the table of `symbols` (addresses by name) into the memory, and says where in VMCOREINFO."""
    spec, machine = core.spec, core.machine
    ordered = sorted(symbols.items(), key=lambda symbol: symbol[1])
    coded, texts = compressed([f"{letter}{name}".encode() for name, _ in ordered])
    names, marks = names_and_markers(coded, spec.byteorder)
    tokens = bytearray()
    index = []
    for text in texts:
        index.append(len(tokens))
        tokens += text + b"\x00"
    low, word = ordered[0][1], spec.word

    def pack(value: int, size: int) -> bytes:
        return (value & (1 << 8 * size) - 1).to_bytes(size, spec.byteorder)

    def even(data: bytes) -> bytes:
        return data + bytes(-len(data) % 8)

    def offset(at: int) -> bytes:
        if form == "addresses":
            return pack(at, word)
        return pack(low - 1 - at if form == "percpu" else at - low, 4)

    parts = {
        "num_syms": even(pack(len(ordered), 4)),
        "names": even(names),
        "markers": even(marks if markers else b""),
        "token_table": even(bytes(tokens)),
        "token_index": b"".join(pack(offset, 2) for offset in index),
    }
    place = put(core, b"".join(parts.values()))
    found: dict[str, int] = {}
    for name, data in parts.items():
        found[name] = place
        place += len(data)
    if form == "itself":
        # Offsets count from where they are: these must be in reach of the image.
        paddr = machine.symbol("kallsyms_offsets", 4 * len(ordered))
        found["offsets"] = machine.symbols["kallsyms_offsets"]
        for number, (_, at) in enumerate(ordered):
            machine.memory.write(paddr + 4 * number, pack(at - (found["offsets"] + 4 * number), 4))
    else:
        table = b"".join(offset(at) for _, at in ordered)
        found["addresses" if form == "addresses" else "offsets"] = put(core, table)
    if form in ("base", "percpu"):
        found["relative_base"] = put(core, pack(low, word))
    lines = (f"SYMBOL(kallsyms_{name})={address:x}" for name, address in found.items() if name != "markers")
    return with_lines(core, *lines)
