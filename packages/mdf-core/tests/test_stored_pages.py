# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of kdump-compressed dumps: every codec, missing pages, and damage of descriptors, data and bitmaps."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mdf.core.bitmap import Place
from mdf.core.dumps import KdumpFile, open_dump
from mdf.core.dumps.codecs import CODECS, DEFLATE_VARIABLE, DEFLATES, LIBLZO2, Codec, PageDecoder, codec_named
from mdf.core.dumps.codecs.packing import room_for
from mdf.core.dumps.codecs.same_filled import deflated
from mdf.core.dumps.codecs.table import LIBDEFLATE
from mdf.core.dumps.page_store import Stretch
from mdf.core.errors import AddressError, FormatError, MdfError, MissingCodecError, UsageError
from mdf.core.formats.diskdump import Flag

SIZE = 4096
PAGES = {
    "zeros": bytes(SIZE),
    "text": (b"dentry inode super block " * 200)[:SIZE],
    "random": random.Random(1).randbytes(SIZE),
    "half": random.Random(2).randbytes(SIZE // 2) + bytes(SIZE // 2),
}
codecs = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


def pack(codec: Codec, pages: list[bytes], wanted: list[int]) -> tuple[bytes, list[int]]:
    """What a packer writes, and the size of each page; it writes to the room that it may use and nowhere else."""
    size, behind = len(pages[0]), b"behind" * 100
    room = room_for(len(wanted), size)
    memory = bytearray(room) + behind
    sizes = codec.packer()(bytearray(b"".join(pages)), size, wanted, memoryview(memory)[:room])
    assert memory[room:] == behind
    return bytes(memory[: sum(sizes)]), sizes


def packed(codec: Codec, page: bytes) -> bytes:
    """The page as the codec packs it, or as it is if that is no shorter; without the codec the test is skipped."""
    try:
        return pack(codec, [page], [0])[0]
    except MissingCodecError as error:
        pytest.skip(f"{error} {error.hint}")


@codecs
@pytest.mark.parametrize("name", PAGES)
def test_a_packed_page_comes_back(codec: Codec, name: str) -> None:
    data = packed(codec, PAGES[name])
    assert PageDecoder(SIZE).decode(data, codec.flag if len(data) < SIZE else 0, 0) == PAGES[name]
    assert (len(data) == SIZE) == (name == "random")
    assert name != "text" or len(data) < SIZE // 4


@codecs
@pytest.mark.parametrize("size", [4096, 65536])
def test_pages_are_packed_in_order_and_each_by_itself(codec: Codec, size: int) -> None:
    pages = [page * (size // SIZE) for page in PAGES.values()]
    pages.append(b"\x11\x22\x33\x44\x55\x66\x77\x88" * (size // 8))
    packed(codec, pages[0])
    data, sizes = pack(codec, pages, [0, 3, 4, 1, 2])
    at, decoder = 0, PageDecoder(size)
    for page, length in zip([pages[number] for number in (0, 3, 4, 1, 2)], sizes, strict=True):
        assert decoder.decode(data[at : at + length], codec.flag if length < size else 0, 0) == page
        assert pack(codec, [page], [0]) == (data[at : at + length], [length])
        at += length


def only(name: str, module: str) -> Codec:
    """A codec with one of its modules alone; the test is skipped without it."""
    pytest.importorskip(module, exc_type=ImportError)
    return replace(codec_named(name), modules=(module,))


@pytest.mark.parametrize("module", DEFLATES.values(), ids=DEFLATES)
def test_every_deflate_reads_what_zlib_wrote_and_zlib_reads_theirs(module: str) -> None:
    codec = only("zlib", module)
    decompress = codec.decompressor()
    for name, page in PAGES.items():
        assert decompress(zlib.compress(page), SIZE) == page
        data = packed(codec, page)
        assert (data if name == "random" else zlib.decompress(data)) == page
        with pytest.raises(Exception, match=r"."):  # The page is complete, its checksum is not.
            decompress(zlib.compress(page)[:-1], SIZE)


@pytest.mark.parametrize("module", DEFLATES.values(), ids=DEFLATES)
@pytest.mark.parametrize("size", [1 << shift for shift in range(10, 21)])
def test_every_deflate_reads_a_page_of_one_word_over_and_over(size: int, module: str) -> None:
    decompress = only("zlib", module).decompressor()
    words = bytes(8), b"\xff" * 8, b"\xcc" * 8, b"\x00\x01" * 4, bytes(range(8)), random.Random(4).randbytes(8)
    for page in (word * (size // 8) for word in words):
        data = deflated(page[:8], size, zlib.adler32(page))
        assert decompress(data, size) == zlib.decompress(data) == page
        assert len(data) <= 36 + size // 600


def test_a_page_of_one_word_over_and_over_is_known_from_one_that_is_nearly_so() -> None:
    codec = only("zlib", LIBDEFLATE)
    page = b"\x80\x01\x02\x03\x04\x05\x06\x07" * (SIZE // 8)
    assert packed(codec, page) == deflated(page[:8], SIZE, zlib.adler32(page))
    for at in (0, 8, SIZE // 2, SIZE - 9, SIZE - 1):
        other = page[:at] + b"\x55" + page[at + 1 :]
        assert codec.decompressor()(packed(codec, other), SIZE) == other


def test_both_lzo_libraries_read_what_the_other_wrote() -> None:
    both = only("LZO", LIBLZO2), only("LZO", "lzallright")
    for writer, reader in (both, both[::-1]):
        for name, page in PAGES.items():
            if name != "random":
                assert reader.decompressor()(packed(writer, page), SIZE) == page


@codecs
def test_damaged_data_is_an_error_that_names_the_page(codec: Codec) -> None:
    decoder, chance = PageDecoder(SIZE), random.Random(3)
    data = packed(codec, PAGES["text"])
    with pytest.raises(FormatError, match=r"0x77"):
        decoder.decode(data[: len(data) // 2], codec.flag, 0x77)
    with pytest.raises(FormatError, match=r"0x77"):
        decoder.decode(b"", codec.flag, 0x77)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 2, 8))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(FormatError):
            assert len(decoder.decode(bytes(damaged), codec.flag, 0x77)) == SIZE


@codecs
@pytest.mark.parametrize("length", [1, SIZE - 1, SIZE + 1, 64 << 20])
def test_data_of_another_length_than_a_page_is_an_error_and_is_never_all_unpacked(codec: Codec, length: int) -> None:
    # LZO packs at the most 1 to 255: a page of it can't unpack to more than a MiB.
    data = packed(codec, bytes(min(length, 255 * SIZE) if codec.name == "LZO" else length))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="0x5"):
            PageDecoder(SIZE).decode(data, codec.flag, 5)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("window", "taken"), [(19, True), (24, False), (31, False)])
def test_a_window_of_zstandard_is_no_larger_than_one_for_pages(window: int, taken: bool) -> None:
    page = PAGES["random"]
    packed(codec_named("zstd"), page)
    # A frame of one block that is stored.
    frame = bytes.fromhex("28b52ffd00") + bytes([window - 10 << 3]) + (SIZE << 3 | 1).to_bytes(3, "little") + page
    with nullcontext() if taken else pytest.raises(FormatError, match="The data of page 0x7 is damaged"):
        assert PageDecoder(SIZE).decode(frame, Flag.ZSTD, 7) == page


@pytest.mark.parametrize("flags", [0x40, 0x100, 0x80000000, 0x41, Flag.ZLIB | Flag.LZO])
def test_an_unknown_compression_is_never_taken_for_none(flags: int) -> None:
    with pytest.raises(FormatError, match=r"page 0x9 .*|Page 0x9 is compressed in an unknown way"):
        PageDecoder(SIZE).decode(PAGES["text"], flags, 9)


def test_a_codec_that_is_not_installed_is_named_with_its_package() -> None:
    codec = replace(codec_named("zlib"), name="odd", modules=("no_such.module",), package="odd-package")
    for ask in (codec.packer, codec.decompressor):
        with pytest.raises(MissingCodecError, match="odd") as caught:
            ask()
        assert caught.value.hint == "Install it with: pip install odd-package"


def test_a_deflate_can_be_asked_for_and_an_unknown_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEFLATE_VARIABLE, "zlib")
    assert packed(codec_named("ZLIB"), PAGES["text"]) == zlib.compress(PAGES["text"], 1)
    monkeypatch.setenv(DEFLATE_VARIABLE, "best")
    with pytest.raises(UsageError, match="zlib-ng"):
        codec_named("zlib").packer()


Descriptor = tuple[int, int, int]
HELD = 3


def dump(
    descriptors: list[Descriptor],
    data: bytes,
    *,
    status: int = 0,
    level: int = 0,
    bitmap_blocks: int = 2,
    max_mapnr: int = 16,
    bitmaps: bytes | None = None,
) -> bytes:
    """A dump of version 6, written field by field: pages 4, 5 and 6 of 16 are stored. Data are behind 24 * 3 bytes."""
    utsname = b"".join(name.ljust(65, b"\x00") for name in (b"Linux", b"n", b"6.1.0", b"v", b"x86_64", b"d"))
    head = b"KDUMP   " + struct.pack("<i", 6) + utsname + bytes(6)
    head += struct.pack("<qqIiiIIIIIIi", 0, 0, status, SIZE, 1, bitmap_blocks, max_mapnr, 0, 0, 0, 0, 1)
    sub = struct.pack("<QiiQQqQqQqQQQQ", 0, level, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, max_mapnr)
    if bitmaps is None:
        bitmaps = b"\xff\xff".ljust(SIZE, b"\x00") + b"\x70\x00".ljust(SIZE, b"\x00")
    table = b"".join(struct.pack("<qIIQ", *descriptor, 0) for descriptor in descriptors)
    return head.ljust(SIZE, b"\x00") + sub.ljust(SIZE, b"\x00") + bitmaps + table + data


DATA = 4 * SIZE + 24 * HELD
SOUND: list[Descriptor] = [(DATA, SIZE, 0), (DATA + SIZE, SIZE, 0), (DATA, SIZE, 0)]
CONTENT = PAGES["text"] + PAGES["random"]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], KdumpFile]:
    def opened(data: bytes) -> KdumpFile:
        path = tmp_path / "dump"
        path.write_bytes(data)
        made = open_dump(path)
        assert isinstance(made, KdumpFile)
        return made

    return opened


def test_pages_are_found_by_their_rank_and_may_share_data(opened: Callable[[bytes], KdumpFile]) -> None:
    with opened(dump(SOUND, CONTENT)) as made:
        assert made.read(4 * SIZE, 3 * SIZE) == PAGES["text"] + PAGES["random"] + PAGES["text"]
        assert list(made.runs()) == [(4, 7)]
        with pytest.raises(AddressError, match="Page 0x7 is not in"):
            made.read(7 * SIZE - 1, 2)
        with pytest.raises(AddressError, match="Page 0x3 is not in"):
            made.read(4 * SIZE - 1, 2)
        with pytest.raises(AddressError):
            made.read(1 << 63, 1)


def test_pages_are_read_together_as_far_as_they_are_sound_and_without_the_page_of_zeros(
    opened: Callable[[bytes], KdumpFile],
) -> None:
    with opened(dump([*SOUND[:2], (DATA + 2 * SIZE - 10, SIZE, 0)], CONTENT)) as made:
        stretches = made.pages.stretches(4, 7)
        assert next(stretches) == Stretch(4, CONTENT, [SIZE, SIZE], [0, 0])
        with pytest.raises(FormatError, match="page 0x6"):
            next(stretches)
    with opened(dump(SOUND, CONTENT, level=1)) as made:
        assert list(made.pages.stretches(4, 7)) == [Stretch(4, PAGES["random"], [0, SIZE, 0], [0, 0, 0])]
        assert [(page.data, page.zero) for page in made.pages.pages(4, 6)] == [
            (PAGES["text"], True),
            (PAGES["random"], False),
        ]


def test_ranks_count_over_chunks_of_pages(opened: Callable[[bytes], KdumpFile]) -> None:
    # 3 bitmap blocks of pages: the pages just before and behind where a chunk of 32768 ends.
    stored = bytearray(2 * SIZE)
    for pfn in (0, 32767, 32768, 65535):
        stored[pfn >> 3] |= 1 << (pfn & 7)
    data = 6 * SIZE + 24 * 4
    table = [(data + number * SIZE, SIZE, 0) for number in range(4)]
    body = b"".join(bytes([number + 1]) * SIZE for number in range(4))
    image = dump(table, body, bitmap_blocks=4, max_mapnr=65536, bitmaps=b"\xff" * 2 * SIZE + bytes(stored))
    with opened(image) as made:
        assert [made.read(pfn * SIZE, 1)[0] for pfn in (0, 32767, 32768, 65535)] == [1, 2, 3, 4]


def test_a_page_without_data_is_missing_and_known_to_be(opened: Callable[[bytes], KdumpFile]) -> None:
    lost = [SOUND[0], (0, 0, 0), SOUND[2]]
    with opened(dump(lost, CONTENT, status=Flag.INCOMPLETE)) as made:
        assert made.incomplete
        assert made.read(6 * SIZE, SIZE) == PAGES["text"]
        with pytest.raises(AddressError, match=r"Page 0x5 is missing: .* incomplete"):
            made.read(5 * SIZE, 1)
        stored = made.stored(made.present(made.max_mapnr, Place(), partial_tail=True))
        assert list(stored.runs()) == [(4, 5), (6, 7)]


@pytest.mark.parametrize("kept", [0, 10, 24, 30, 24 * HELD, 24 * HELD + 5, 24 * HELD + SIZE])
def test_an_incomplete_dump_has_the_pages_whose_data_is_in_the_file(
    kept: int, opened: Callable[[bytes], KdumpFile]
) -> None:
    image = dump([(DATA + number * SIZE, SIZE, 0) for number in range(HELD)], CONTENT, status=Flag.INCOMPLETE)
    with opened(image[: 4 * SIZE + kept]) as made:
        assert list(made.runs()) == ([(4, 5)] if kept == 24 * HELD + SIZE else [])


@pytest.mark.parametrize(
    "damaged",
    [
        (DATA, SIZE + 1, 0),
        (DATA, 0xFFFFFFFF, 0),
        (-1, SIZE, 0),
        (-(1 << 63), SIZE, 0),
        ((1 << 63) - 1, SIZE, 0),
        (DATA + 2 * SIZE - 10, SIZE, 0),
        (DATA, SIZE - 1, 0),
        (DATA, 0, 0),
        (DATA, 0, Flag.ZLIB),
        (DATA, SIZE, Flag.ZLIB),
        (DATA, SIZE, 0x1000),
    ],
)
def test_a_damaged_descriptor_is_an_error_that_names_its_page(
    damaged: Descriptor, opened: Callable[[bytes], KdumpFile]
) -> None:
    with opened(dump([SOUND[0], damaged, SOUND[2]], CONTENT)) as made:
        assert made.read(6 * SIZE, SIZE) == PAGES["text"]
        with pytest.raises(FormatError, match=r"0x5"):
            made.read(5 * SIZE, 1)
        with pytest.raises(FormatError, match=r"0x5"):
            made.read_pages(4, 7, memoryview(bytearray(3 * SIZE)))


def test_a_dump_cut_off_in_its_descriptors_is_an_error(opened: Callable[[bytes], KdumpFile]) -> None:
    with opened(dump(SOUND, CONTENT)[: 4 * SIZE + 30]) as made, pytest.raises(FormatError, match="truncated"):
        made.read(5 * SIZE, 1)


@pytest.mark.parametrize(("blocks", "pages"), [(0, 16), (1, 8 * SIZE + 1), (2, 2 * 8 * SIZE + 1), (2, 1 << 31)])
def test_bitmaps_that_are_too_small_are_an_error(blocks: int, pages: int, opened: Callable[[bytes], KdumpFile]) -> None:
    with pytest.raises(FormatError, match=r"bitmaps|truncated"):
        opened(dump(SOUND, CONTENT, bitmap_blocks=blocks, max_mapnr=pages))


def test_a_dump_of_one_bitmap_has_all_pages_it_knows(opened: Callable[[bytes], KdumpFile]) -> None:
    only = b"\x70\x00".ljust(SIZE, b"\x00")
    # The descriptors are where they would be behind one block.
    image = dump([(DATA - SIZE, SIZE, 0)] * HELD, CONTENT, bitmap_blocks=1, bitmaps=only)
    with opened(image) as made:
        present = made.present(made.max_mapnr, Place(), partial_tail=True)
        assert list(present.runs()) == list(made.runs()) == [(4, 7)]
        assert made.read(5 * SIZE, SIZE) == PAGES["text"]


@pytest.mark.parametrize("seed", range(6))
def test_random_damage_is_read_or_one_of_our_errors(seed: int, opened: Callable[[bytes], KdumpFile]) -> None:
    chance = random.Random(seed)
    pages = [zlib.compress(page) for page in (PAGES["text"], PAGES["half"], PAGES["zeros"])]
    table, at = [], DATA
    for page in pages:
        table.append((at, len(page), int(Flag.ZLIB)))
        at += len(page)
    image = dump(table, b"".join(pages), level=1)
    for _ in range(60):
        damaged = bytearray(image)
        for _ in range(chance.choice((1, 4, 16))):
            where = chance.choice((chance.randrange(8, 464), SIZE + chance.randrange(104), 4 * SIZE))
            where = where if where < 4 * SIZE else chance.randrange(2 * SIZE, len(image))
            damaged[where] = chance.choice((0, 0xFF, chance.randrange(256)))
        with suppress(MdfError), opened(bytes(damaged)) as made:
            for start, end in made.runs():
                for pfn in range(start, min(end, start + 8)):
                    assert len(made.read(pfn * made.page_size, made.page_size)) == made.page_size
