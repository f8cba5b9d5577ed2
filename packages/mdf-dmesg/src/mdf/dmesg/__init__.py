# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the kernel's log out of a vmcore.

from mdf.core.dumps import open_dump
from mdf.core.kernel import Kernel
from mdf.dmesg import read_log
with open_dump("/proc/vmcore") as dump:
    log = read_log(Kernel(dump, dump.info))
    for record in log:
        print(record.ts_nsec, record.caller, record.text)
    print(log.damage.lines)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdf.dmesg.log import Log, read_log
    from mdf.dmesg.options import Options
    from mdf.dmesg.record import Record
    from mdf.dmesg.run import save_log

__all__ = ["Log", "Options", "Record", "read_log", "save_log"]

_MODULES = {"Log": "log", "read_log": "log", "Options": "options", "Record": "record", "save_log": "run"}


def __getattr__(name: str) -> Any:
    # Loaded when used: `-v` and `-h` need none of it.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"mdf.dmesg.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
