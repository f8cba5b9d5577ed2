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
def session(which: str, item: str, dump: Path) -> list[str]:
    """What crash prints; the line with the dump's own name is left out."""
    options = () if item == ITEM else ("--no_modules",)
    command = (*programs.found("crash", which), "-s", *options, str(programs.vmlinux(item)), str(dump))
    printed = programs.output(*command, stdin=COMMANDS)
    return [line for line in printed.splitlines() if not line.lstrip().startswith("DUMPFILE:")]


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
