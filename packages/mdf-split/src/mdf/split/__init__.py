# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes one dump into several files at once, and joins them again.

from mdf.capture import Options
from mdf.split.join import JoinOptions, reassemble
from mdf.split.options import SplitOptions
from mdf.split.run import split
report = split(SplitOptions(Options(Path("/proc/vmcore"), dump_levels=(31,)), (Path("a"), Path("b"))))
reassemble(JoinOptions((Path("a"), Path("b")), Path("dump")))
"""
