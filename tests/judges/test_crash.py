# SPDX-License-Identifier: GPL-2.0-or-later
"""crash prints of our dump what it prints of the vmcore itself."""

from functools import cache
from pathlib import Path

import pytest

from corpus import vmcore
from judges import programs
from judges.programs import Makedumpfile

COMMANDS = "sys\nbt -a\nlog\nps\nmod\nkmem -i\nkmem -s\nexit\n"


ITEM = "x86_64-6.1-kdump"


@cache
def session(which: str, item: str, *dump: Path) -> list[str]:
    """What crash prints of the files of a dump; the lines with their names are left out."""
    options = () if item == ITEM else ("--no_modules",)
    command = (*programs.found("crash", which), "-s", *options, str(programs.vmlinux(item)), *map(str, dump))
    lines = programs.output(*command, stdin=COMMANDS).splitlines()
    heads = [number for number, line in enumerate(lines) if line.lstrip().startswith(("DUMPFILE:", "DUMPFILES:"))]
    for head in reversed(heads):
        del lines[head : head + len(dump)]
    return lines


@pytest.mark.parametrize("options", [("-c", "-d31"), ("-d31",), ("-E", "-d31")], ids=" ".join)
@pytest.mark.parametrize(("which", "item"), [("installed", ITEM), ("newest", ITEM), ("newest", "x86_64-7.2-kdump")])
def test_crash_prints_of_our_dump_what_it_prints_of_the_vmcore(
    ours: Makedumpfile, which: str, item: str, options: tuple[str, ...]
) -> None:
    of_vmcore = session(which, item, vmcore(item))
    assert any("PANIC:" in line and "sysrq triggered crash" in line for line in of_vmcore)
    assert any("sysrq_handle_crash at" in line for line in of_vmcore)
    assert session(which, item, ours.dump(vmcore(item), *options)) == of_vmcore


@pytest.mark.parametrize(("option", "codec"), [("-l", "lzo"), ("-p", "snappy"), ("-z", "zstd")])
def test_crash_reads_our_dump_with_each_compression(ours: Makedumpfile, option: str, codec: str) -> None:
    if not ours.has(codec):
        programs.skip(f"{codec} is disabled", "pip install 'mdf-capture[all]'")
    assert session("newest", ITEM, ours.dump(vmcore(ITEM), option, "-d31")) == session("newest", ITEM, vmcore(ITEM))


@pytest.mark.parametrize("files", [2, 3])
@pytest.mark.parametrize("which", ["installed", "newest"])
def test_crash_reads_the_files_of_a_split_dump(ours: Makedumpfile, which: str, files: int) -> None:
    parts = ours.split(vmcore(ITEM), files, "-c", "-d31", "--splitblock-size", "4096")
    assert session(which, ITEM, *reversed(parts)) == session(which, ITEM, vmcore(ITEM))
