# SPDX-License-Identifier: GPL-2.0-or-later
"""The options as data, with the modes each belongs to.

All commands read the same syntax, that of makedumpfile; a command's help shows the options of its own mode.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Mode(enum.Flag):
    """What a command line asks for."""

    CAPTURE = enum.auto()
    SPLIT = enum.auto()
    XEN = enum.auto()
    MEM_USAGE = enum.auto()
    DMESG = enum.auto()
    REASSEMBLE = enum.auto()
    REARRANGE = enum.auto()
    GENERATE = enum.auto()
    CHECK = enum.auto()

    WHOLE = CAPTURE | XEN
    DUMP = WHOLE | SPLIT
    FILTER = DUMP | MEM_USAGE
    READ = FILTER | DMESG
    ALL = READ | REASSEMBLE | REARRANGE | GENERATE | CHECK


@dataclass(frozen=True)
class Option:
    """One option, in the ways `flags` to write it. `metavar` names its argument; without one it takes none.

    With `zero_is_off`, giving only the argument 0 is the same as not giving the option at all. `in_full`: never
    abbreviated, so that an option which the original does not have can't make an abbreviation of one that it has
    ambiguous.
    """

    name: str
    flags: tuple[str, ...]
    metavar: str
    modes: Mode
    help: str
    zero_is_off: bool = False
    in_full: bool = False


# The options that are shown together, under a title.
GROUPS: Mapping[str, tuple[Option, ...]] = {
    "what to leave out": (
        Option(
            "dump_levels",
            ("-d",),
            "LEVEL[,LEVEL...]",
            Mode.FILTER,
            "Leave out the classes of pages in LEVEL, a sum of the numbers in the table of dump levels: 0 "
            "(the default) keeps all pages, 31 keeps only what analysis needs. With a list, the next level is "
            "tried when the output does not fit on the device.",
            zero_is_off=True,
        ),
        Option(
            "exclude_unused_vmemmap",
            ("-e",),
            "",
            Mode.DUMP,
            "Also leave out the kernel's own descriptions of pages that are all left out. x86_64 only; needs "
            "--work-dir.",
        ),
        Option(
            "exclude_xen_user_domain",
            ("-X",),
            "",
            Mode.XEN,
            "Leave out the pages of all Xen domains but domain 0. VMCORE must be the memory of a Xen host.",
        ),
        Option(
            "trust_filter",
            ("--trust-filter",),
            "",
            Mode.DUMP,
            "Leave out also what the filter doubts: a class of pages whose number can't be right on this kernel, "
            "or that holds what must stay, is kept otherwise, and a line says so.",
            in_full=True,
        ),
        Option(
            "extensions",
            ("--extension",),
            "FILE",
            Mode.FILTER,
            "Let the extension FILE decide which pages to keep. May be given more than once.",
        ),
    ),
    "output": (
        Option("zlib", ("-c",), "", Mode.DUMP, "Compress each page with zlib. The last of -c, -l, -p and -z counts."),
        Option("lzo", ("-l",), "", Mode.DUMP, "Compress each page with LZO."),
        Option("snappy", ("-p",), "", Mode.DUMP, "Compress each page with snappy."),
        Option("zstd", ("-z",), "", Mode.DUMP, "Compress each page with Zstandard."),
        Option("elf", ("-E",), "", Mode.WHOLE, "Write an ELF file instead of a kdump-compressed one."),
        Option("force", ("-f",), "", Mode.ALL, "Overwrite DUMPFILE if it exists."),
        Option(
            "flattened",
            ("-F",),
            "",
            Mode.WHOLE | Mode.DMESG,
            "Write to standard output, in the flattened format that needs no seeking. All messages go to "
            "standard error.",
        ),
        Option(
            "size_limit",
            ("-L",),
            "SIZE",
            Mode.DUMP,
            "Stop when the output has SIZE bytes. A suffix of K, M, G, T, P or E multiplies by powers of 1024.",
        ),
        Option("dry_run", ("--dry-run",), "", Mode.DUMP, "Do everything but writing; the report shows the size."),
        Option(
            "split",
            ("--split",),
            "",
            Mode.SPLIT,
            "Write several DUMPFILEs at the same time, each with a part of the memory.",
        ),
        Option(
            "splitblock_size",
            ("--splitblock-size",),
            "KIB",
            Mode.SPLIT,
            "With --split, divide the memory at multiples of KIB kibibytes, a multiple of the page size.",
        ),
    ),
    "kernel information": (
        Option(
            "vmlinux",
            ("-x",),
            "VMLINUX",
            Mode.READ | Mode.GENERATE,
            "Take the kernel's symbols and types from VMLINUX, which has debug information.",
        ),
        Option(
            "vmcoreinfo",
            ("-i",),
            "VMCOREINFO",
            Mode.READ,
            "Take them from the file VMCOREINFO that -g has written.",
        ),
        Option(
            "xen_syms",
            ("--xen-syms",),
            "XEN-SYMS",
            Mode.XEN | Mode.GENERATE,
            "The same as -x, of the hypervisor.",
        ),
        Option("xen_vmcoreinfo", ("--xen-vmcoreinfo",), "VMCOREINFO", Mode.XEN, "The same as -i, of the hypervisor."),
        Option(
            "xen_phys_start",
            ("--xen_phys_start",),
            "ADDRESS",
            Mode.XEN,
            "The physical address the hypervisor is loaded at (x86_64).",
        ),
        Option(
            "xen_page_state",
            ("--xen-page-state",),
            "LAYOUT",
            Mode.XEN,
            "With -X, how the hypervisor marks free pages: old (as before June 2022, and as the original takes it "
            "for all) or new. The default is what its pages show.",
        ),
        Option(
            "vtop",
            ("--vtop",),
            "ADDRESS",
            Mode.DUMP,
            "Print the physical address of a kernel virtual address first. The dump is made as without it.",
        ),
    ),
    "erasing secrets": (
        Option("erase_config", ("--config",), "FILE", Mode.DUMP, "Erase what FILE describes. Needs -x."),
        Option("eppic", ("--eppic",), "MACRO", Mode.DUMP, "Erase what the eppic macros in MACRO decide."),
    ),
    "resources": (
        Option(
            "num_threads",
            ("--num-threads",),
            "N",
            Mode.WHOLE | Mode.MEM_USAGE,
            "Compress with N processes, besides the one that reads and writes; 0 for none. The default is one for "
            "each CPU that may be used, 8 at the most, and none if there is a single one. The output is always the "
            "same. Not with --split or -E.",
            zero_is_off=True,
        ),
        Option("work_dir", ("--work-dir",), "DIR", Mode.ALL, "Put the bitmap file into DIR instead of TMPDIR."),
        Option(
            "cyclic_buffer",
            ("--cyclic-buffer",),
            "KIB",
            Mode.FILTER,
            "Filter as with a bitmap buffer of KIB kibibytes. Memory does not depend on it: bitmaps of more than "
            "4 MiB are in a file.",
        ),
        Option(
            "block_order",
            ("-b",),
            "ORDER",
            Mode.DUMP,
            "Accepted for compatibility: pages are written in batches of up to 1 MiB.",
        ),
        Option(
            "non_mmap",
            ("--non-mmap",),
            "",
            Mode.READ,
            "Read /proc/vmcore with system calls, not through windows of it in the address space, which is faster "
            "there. Other files are always read so.",
        ),
    ),
    "messages": (
        Option(
            "message_level",
            ("--message-level",),
            "LEVEL",
            Mode.ALL,
            "Which messages to print: a sum of 1 (progress), 2 (common messages), 4 (errors), 8 (debug) and "
            "16 (report). The default is 7.",
        ),
        Option("debug", ("-D",), "", Mode.ALL, "Print debug messages: adds 8 to the message level."),
        Option("show_stats", ("--show-stats",), "", Mode.ALL, "Print the report: adds 16 to the message level."),
        Option("check_params", ("--check-params",), "", Mode.ALL, "Only check the parameters. No file is opened."),
        Option(
            "help",
            ("-h", "--help"),
            "",
            Mode.ALL,
            "Print this help.",
        ),
        Option("version", ("-v",), "", Mode.ALL, "Print the version, and which codecs are installed."),
    ),
    "other modes": (
        Option("rearrange", ("-R",), "", Mode.REARRANGE, "Turn the flattened stream on standard input into DUMPFILE."),
        Option(
            "keep_partial",
            ("--keep-partial",),
            "",
            Mode.REARRANGE,
            "With -R, keep what came of a stream without its end, as DUMPFILE-incomplete.",
            in_full=True,
        ),
        Option("reassemble", ("--reassemble",), "", Mode.REASSEMBLE, "Join the files that --split wrote."),
        Option("dump_dmesg", ("--dump-dmesg",), "", Mode.DMESG, "Write the kernel's log to LOGFILE."),
        Option(
            "partial_dmesg",
            ("--partial-dmesg",),
            "",
            Mode.DMESG,
            "Only what came since the log was last cleared.",
        ),
        Option("xen_dmesg", ("--xen-dmesg",), "", Mode.XEN, "Write the hypervisor's log to LOGFILE. Needs --xen-syms."),
        Option(
            "mem_usage",
            ("--mem-usage",),
            "",
            Mode.MEM_USAGE,
            "Print how many pages of each class the running kernel has. VMCORE is /proc/kcore.",
        ),
        Option(
            "check_dump",
            ("--check-dump",),
            "",
            Mode.CHECK,
            "Check a dump completely: headers, bitmaps, and every page. One line says what it comes to; the exit "
            "status is 0 for a sound dump. The files of a split dump are given together.",
            in_full=True,
        ),
        Option("json", ("--json",), "", Mode.CHECK, "With --check-dump, say everything as JSON.", in_full=True),
        Option("generate", ("-g",), "VMCOREINFO", Mode.GENERATE, "Write VMCOREINFO from -x VMLINUX or --xen-syms."),
        Option(
            "disk_set",
            ("--diskset",),
            "VMCORE",
            Mode.READ,
            "One file of a dump in several files (a split dump, in any order; an sadump disk set), instead of the "
            "operand VMCORE. Given once for each file.",
        ),
    ),
}

OPTIONS = tuple(option for options in GROUPS.values() for option in options)

COMPRESSIONS = ("zlib", "lzo", "snappy", "zstd")
