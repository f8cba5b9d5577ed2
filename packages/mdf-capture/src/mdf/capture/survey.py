# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of a dump before its pages are looked at: the kernel, its memory map, and how to tell its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mdf.capture.generations import newer_kernel_warning
from mdf.capture.kdump_writer import Identity
from mdf.capture.layout import page_layout
from mdf.capture.options import Options
from mdf.capture.page_filter import KnownKernel
from mdf.capture.plan import BitmapPlan
from mdf.capture.rules import DumpLevel
from mdf.core.arch import ARCHITECTURES, Architecture, phys_base_of
from mdf.core.bitmap import Bitmap
from mdf.core.commandline import INVALID
from mdf.core.dumps import Dump, ElfDump, expect_linux
from mdf.core.errors import MissingInfoError, UsageError
from mdf.core.formats.diskdump import layout_for
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel import mem_map, open_kernel
from mdf.core.messages import Messages


@dataclass(frozen=True)
class Survey:
    """A dump as a run sees it. `known` is None if nothing says anything about the kernel.

    `trusted` is whether pages are left out although the filter doubts that it can tell them.
    `present` is bitmap 1; `by_struct_page` is whether free pages are told by their struct pages.
    """

    dump: Dump
    known: KnownKernel | None
    plan: BitmapPlan
    present: Bitmap
    by_struct_page: bool
    trusted: bool = False

    @property
    def max_mapnr(self) -> int:
        """One more than the highest page frame number."""
        return self.present.size

    def windows(self, elf: bool) -> list[tuple[int, int]]:
        """The ranges of page frames that are filtered, and counted, each for itself.

        For an ELF dump, in the original's cyclic mode, these are the segments; what two of them cover counts twice.
        """
        if elf and isinstance(self.dump, ElfDump) and not self.plan.one_pass:
            return [(start & ~7, min(end, self.max_mapnr)) for start, end in self.dump.segment_pages()]
        return [(0, self.max_mapnr)]

    def count_present(self, elf: bool) -> int:
        """The number of pages that memory has, as the report counts them."""
        return self.dump.count_present(self.present, partial_tail=elf or self.plan.one_pass)

    def identity(self) -> Identity:
        """What the headers of a kdump-compressed dump say."""
        dump, known = self.dump, self.known
        info = known.kernel.info if known else dump.info
        crashtime = info.crashtime if info else 0
        return Identity(
            layout=layout_for(dump.bits, known.kernel.byteorder if known else dump.byteorder, dump.machine),
            page_size=dump.page_size,
            max_mapnr=self.max_mapnr,
            utsname=known.kernel.utsname if known else dump.utsname,
            timestamp=(crashtime, dump.timestamp[1]) if crashtime else dump.timestamp,
            nr_cpus=dump.nr_cpus,
            phys_base=known.kernel.machine.phys_base if known else phys_base_of(dump),
            notes=dump.notes.data,
            vmcoreinfo_offset=dump.notes.vmcoreinfo_offset,
            vmcoreinfo_size=len(dump.notes.vmcoreinfo or b""),
            eraseinfo=dump.eraseinfo,
            incomplete=dump.incomplete,
        )


def survey(
    dump: Dump,
    options: Options,
    messages: Messages,
    architectures: Mapping[str, Architecture] = ARCHITECTURES,
    files: int = 1,
    given: Vmcoreinfo | None = None,
) -> Survey:
    """Looks at a dump that goes into so many files; `given` is what `options` name as kernel information.

    Raises MdfError if the options can't be carried out on it.
    """
    expect_linux(dump)
    check(dump, options, given)
    known = _known_kernel(dump, messages, architectures, given)
    max_mapnr = dump.max_mapnr
    if known and known.pieces:
        max_mapnr = min(max_mapnr, max(piece.pfn_end for piece in known.pieces))
    return counted(dump, options, known, max_mapnr, files=files)


def counted(
    dump: Dump, options: Options, known: KnownKernel | None, max_mapnr: int, *, files: int = 1, one_pass: bool = False
) -> Survey:
    """A survey of what is known, and of the pages below `max_mapnr`; see `BitmapPlan` for `one_pass`."""
    plan = BitmapPlan.choose(
        max_mapnr,
        work_dir=options.work_dir,
        refiltering=one_pass or not isinstance(dump, ElfDump),
        cyclic_buffer=options.cyclic_buffer,
        files=files,
    )
    present = dump.present(max_mapnr, plan.place, partial_tail=plan.one_pass)
    # Decided by the first level, for those that follow on a full device too.
    wanted = bool(options.dump_levels[0] & DumpLevel.FREE)
    return Survey(
        dump, known, plan, present, wanted and known is not None and known.layout.buddy_known, options.trust_filter
    )


def check(dump: Dump, options: Options, given: Vmcoreinfo | None) -> None:
    """Raises UsageError or MissingInfoError for options that can't be carried out on a dump."""
    path = dump.source.path
    if options.elf and not isinstance(dump, ElfDump):
        raise UsageError(f"'-E' option is disabled, because {path} is {dump.kind} format.", hint=INVALID)
    if not (dump.info or given) and max(options.dump_levels) > DumpLevel.ZERO:
        raise MissingInfoError(
            f"{path} doesn't contain vmcoreinfo.", hint=f"Specify '-x' option or '-i' option.\n{INVALID}"
        )


def _known_kernel(
    dump: Dump, messages: Messages, architectures: Mapping[str, Architecture], given: Vmcoreinfo | None
) -> KnownKernel | None:
    kernel = open_kernel(dump, messages, architectures, given)
    if kernel is None:
        return None
    layout = page_layout(kernel.info, kernel.release, kernel.byteorder, dump.bits // 8)
    pieces = mem_map(kernel, dump.max_mapnr)
    if warning := newer_kernel_warning(kernel.info, kernel.release):
        messages.common(warning)
    return KnownKernel(kernel, pieces, layout, dump.data_column)
