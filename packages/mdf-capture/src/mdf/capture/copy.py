# SPDX-License-Identifier: GPL-2.0-or-later
"""Selected pages, from the dump that is read into the kdump-compressed one that is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from mdf.capture.encode import BATCH_BYTES, Encoder, batches
from mdf.capture.kdump_writer import KdumpWriter
from mdf.capture.options import Options
from mdf.capture.rules import DumpLevel
from mdf.capture.selection import Selection
from mdf.capture.sinks import Sink
from mdf.capture.workers import default_workers
from mdf.core.dumps import Dump, ElfDump

if TYPE_CHECKING:
    from mdf.capture.recode import Recoder
    from mdf.core.dumps.codecs import Codec

# A block of 1 GiB at the most, with pages of 4 KiB.
_BLOCK_ORDER_MAX = 18


def copy_pages(
    selection: Selection,
    options: Options,
    codec: Codec | None,
    sink: Sink,
    done: Callable[[int], None],
    warn: Callable[[str], None],
    part: tuple[int, int] | None = None,
) -> KdumpWriter:
    """Writes a whole dump, or the file of a split one that has the pages of `part`; all but sealing it is done.

    `done` is called with each page frame number that all pages below are written of, `warn` with a line for the user.
    """
    seen, keep = selection.seen, selection.keep
    dump, zero = seen.dump, bool(selection.level & DumpLevel.ZERO)
    writer = KdumpWriter(
        sink,
        seen.identity(),
        selection.level,
        codec,
        pad_bitmaps=seen.plan.one_pass,
        block_order=min(options.block_order, _BLOCK_ORDER_MAX),
        part=part,
    )
    writer.begin(seen.present, keep)

    encoder = Encoder(dump, zero=zero, codec=codec)
    runs, capacity = keep.runs(*part or ()), max(BATCH_BYTES // dump.page_size, 1)
    workers = options.num_threads if codec else 0
    if workers is None:  # The files of a split dump are written at the same time.
        workers = 0 if part else default_workers()
    if codec and not isinstance(dump, ElfDump) and (recoder := _recoder(dump, encoder, codec, zero=zero)):
        stream = recoder.encoded(runs)
    else:
        source = batches(runs, dump.page_size, capacity)
        if workers:
            from mdf.capture.processes import encode_in_processes  # Most of what it needs is for nothing else.

            stream = encode_in_processes(source, encoder, workers, capacity, warn)
        else:
            stream = (encoder.encode(batch) for batch in source)
    with closing(stream):
        for batch in stream:
            writer.add(batch)
            done(batch.pfn)
    writer.finish()
    return writer


def _recoder(dump: Dump, encoder: Encoder, codec: Codec, *, zero: bool) -> Recoder | None:
    """What takes over the pages of a dump that has some of the same codec."""
    from mdf.capture.recode import Recoder
    from mdf.core.dumps import KdumpFile

    if isinstance(dump, KdumpFile) and codec.flag & dump.main.status:
        return Recoder(dump, encoder, codec, zero=zero)
    return None
