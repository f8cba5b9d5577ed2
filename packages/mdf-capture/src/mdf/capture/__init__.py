# SPDX-License-Identifier: GPL-2.0-or-later
"""Making small dumps of crashed kernels' memory.

from mdf.capture import Options, capture
report = capture(Options(Path("/proc/vmcore"), Path("dump"), dump_levels=(31,), compression="zlib"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdf.capture.options import Options
    from mdf.capture.run import capture

__all__ = ["Options", "capture"]


def __getattr__(name: str) -> Any:
    # Loaded when used: `-v` and `-h` need none of it.
    if name == "Options":
        from mdf.capture.options import Options

        return Options
    if name == "capture":
        from mdf.capture.run import capture

        return capture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
