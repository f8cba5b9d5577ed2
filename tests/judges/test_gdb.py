# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb opens our ELF dump like a vmcore and finds the kernel's objects by their symbols."""

from pathlib import Path

from corpus import unpacked, vmcore
from judges import programs
from judges.programs import Makedumpfile

ITEM = "x86_64-6.1-kdump"
KERNELOFFSET = 0x1F000000


def session(dump: Path, symbols: Path, *commands: str) -> str:
    """What gdb prints, from the first command's answer on."""
    prepared = (f"core-file {dump}", f"symbol-file -o {KERNELOFFSET:#x} {symbols}", "echo ANSWERS\\n", *commands)
    printed = programs.output(*programs.gdb(), *(f"--eval-command={command}" for command in prepared))
    return printed.partition("ANSWERS\n")[2]


def test_gdb_finds_objects_registers_and_threads_by_symbols(ours: Makedumpfile) -> None:
    commands = (
        "x/s &linux_banner",
        "x/s (char *)&init_uts_ns + 2 * 65",
        "info symbol $rip",
        "info registers",
        "x/512xg &init_task",
        "x/2048xg &page_offset_base",
    )
    symbols = unpacked(ITEM, "vmlinux")
    of_vmcore = session(vmcore(ITEM), symbols, *commands)
    assert '<linux_banner>:\t"Linux version 6.1.0-56-amd64 ' in of_vmcore
    assert '<init_uts_ns+130>:\t"6.1.0-56-amd64"' in of_vmcore
    assert "__crash_kexec + " in of_vmcore
    assert session(ours.dump(vmcore(ITEM), "-E", "-d31"), symbols, *commands) == of_vmcore


def test_gdb_prints_structures_with_debug_information(ours: Makedumpfile) -> None:
    printed = session(
        ours.dump(vmcore(ITEM), "-E", "-d31"), programs.vmlinux(ITEM), "print init_uts_ns.name.release", "backtrace 2"
    )
    assert '= "6.1.0-56-amd64"' in printed
    assert "in __crash_kexec" in printed or "__crash_kexec (" in printed
