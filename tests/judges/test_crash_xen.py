# SPDX-License-Identifier: GPL-2.0-or-later
"""crash, with domain 0's vmlinux, prints of our dump of a Xen host what it prints of the vmcore itself."""

from pathlib import Path

import pytest

from corpus import corpus_items, unpacked, vmcore
from judges import programs
from judges.programs import Makedumpfile

COMMANDS = "sys\nbt -a\nlog\nexit\n"
KERNEL = "x86_64-6.1-kdump"  # Domain 0's is the same build.


def session(which: str, dump: Path) -> list[str]:
    command = (*programs.found("crash", which), "-s", "--no_modules", str(programs.vmlinux(KERNEL)), str(dump))
    lines = programs.output(*command, stdin=COMMANDS).splitlines()
    # The newest one looks for a note of domain 0 in an ELF file, and says so.
    return [line for line in lines if not line.lstrip().startswith(("DUMPFILE:", "crash: cannot read vmcoreinfo_data"))]


@pytest.mark.parametrize("options", [("-c", "-X", "-d31"), ("-E", "-X", "-d31")], ids=" ".join)
@pytest.mark.parametrize("which", ["installed", "newest"])
@pytest.mark.parametrize("item", corpus_items("xen"))
def test_crash_prints_the_same(
    ours: Makedumpfile, item: str, which: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    of_vmcore = session(which, vmcore(item))
    assert any("sysrq_handle_crash at" in line for line in of_vmcore)
    assert any("] Xen: [mem " in line for line in of_vmcore)
    ours.run(*options, "-x", str(unpacked(KERNEL, "vmlinux")), str(vmcore(item)), str(tmp_path / "dump"))
    assert session(which, tmp_path / "dump") == of_vmcore
