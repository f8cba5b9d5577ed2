# SPDX-License-Identifier: GPL-2.0-or-later
"""Selected pages, from the dump that is read into the kdump-compressed one that is written."""

from __future__ import annotations

from collections.abc import Callable

from mdf.capture.encode import Encoder, encoded
from mdf.capture.kdump_writer import KdumpWriter
from mdf.capture.options import Options
from mdf.capture.recode import Recoder
from mdf.capture.rules import DumpLevel
from mdf.capture.selection import Selection
from mdf.capture.sinks import Sink
from mdf.capture.workers import default_workers
from mdf.core.dumps import KdumpFile
from mdf.core.dumps.codecs import Codec

# A block of 1 GiB at the most, with pages of 4 KiB.
_BLOCK_ORDER_MAX = 18


def copy_pages(
    selection: Selection,
    options: Options,
    codec: Codec | None,
    sink: Sink,
    done: Callable[[int], None],
    part: tuple[int, int] | None = None,
) -> KdumpWriter:
    """Writes a whole dump, or the file of a split one that has the pages of `part`; all but sealing it is done.

    `done` is called with each page frame number that all pages below are written of.
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

    def encoder() -> Encoder:
        return Encoder(dump, zero=zero, codec=codec)

    runs = keep.runs(*part or ())
    if isinstance(dump, KdumpFile) and codec and codec.flag & dump.main.status:
        stream = Recoder(dump, encoder(), codec, zero=zero).encoded(runs)
    else:
        threads = options.num_threads
        if threads is None:  # The files of a split dump have a thread each.
            threads = default_workers() if codec and not part else 0
        stream = encoded(runs, dump.page_size, encoder, threads)
    for batch in stream:
        writer.add(batch)
        done(batch.pfn)
    writer.finish()
    return writer
