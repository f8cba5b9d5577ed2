# SPDX-License-Identifier: GPL-2.0-or-later
"""drgn finds in our dump what it finds in the vmcore itself, whatever the machine."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from corpus import vmcore
from judges import programs
from judges.programs import Makedumpfile
from mdf.core.arch.machine import utsname_address
from mdf.core.dumps import open_dump
from mdf.core.formats.diskdump import UTSNAME_RELEASE, utsname_field
from mdf.core.kernel import Kernel

NEEDED = "drgn is not installed: pip install drgn"
drgn: Any = pytest.importorskip("drgn", reason=NEEDED)
linux: Any = pytest.importorskip("drgn.helpers.linux", reason=NEEDED)


@cache
def facts(item: str, dump: Path) -> dict[str, Any]:
    """What a script of drgn asks a dump for."""
    program = drgn.Program()
    program.set_core_dump(dump)
    program.load_debug_info([programs.vmlinux(item)])
    crashed = program.crashed_thread().object
    return {
        "release": program["init_uts_ns"].name.release.string_(),
        "banner": program["linux_banner"].string_(),
        "tasks": [(task.pid.value_(), task.comm.string_()) for task in linux.for_each_task(program)],
        "caches": [cache.name.string_() for cache in linux.for_each_slab_cache(program)],
        "dmesg": linux.get_dmesg(program),
        "stack": str(program.stack_trace(crashed)),
    }


@pytest.mark.parametrize("options", [("-c", "-d31"), ("-E", "-d31")], ids=" ".join)
@pytest.mark.parametrize("item", ["x86_64-6.1-kdump", "x86_64-7.2-kdump"])
def test_drgn_finds_in_our_dump_what_it_finds_in_the_vmcore(
    ours: Makedumpfile, item: str, options: tuple[str, ...]
) -> None:
    of_vmcore = facts(item, vmcore(item))
    assert b"Linux version " + of_vmcore["release"] in of_vmcore["banner"]
    assert b"Kernel panic - not syncing: sysrq triggered crash" in of_vmcore["dmesg"]
    assert "sysrq_handle_crash" in of_vmcore["stack"]
    assert (1, b"init") in of_vmcore["tasks"]
    assert b"task_struct" in of_vmcore["caches"]
    assert facts(item, ours.dump(vmcore(item), *options)) == of_vmcore


# Virtual addresses of other forms need what this version of drgn, or its libkdumpfile, doesn't do.
@pytest.mark.parametrize(
    ("item", "option"),
    [
        ("arm64-6.12", "-c"),
        ("arm64-6.12", "-E"),
        ("ppc64le-6.12-64k-kdump", "-c"),
        ("ppc64le-6.12-64k-kdump", "-E"),
        ("riscv64-6.12", "-c"),
        ("s390x-6.12", "-E"),
    ],
)
def test_drgn_opens_our_dump_of_another_machine_and_reads_the_kernels_name(
    ours: Makedumpfile, item: str, option: str
) -> None:
    with open_dump(vmcore(item)) as dump:
        assert dump.info is not None
        kernel = Kernel(dump, dump.info)
        address, expected = utsname_address(dump.info), kernel.utsname
        little = kernel.byteorder == "little"
    program = drgn.Program()
    program.set_core_dump(ours.dump(vmcore(item), option, "-d31"))
    assert program["UTS_RELEASE"].string_() == utsname_field(expected, UTSNAME_RELEASE).encode()
    assert bool(program.platform.flags & drgn.PlatformFlags.IS_LITTLE_ENDIAN) is little
    assert program.read(address, len(expected)) == expected
