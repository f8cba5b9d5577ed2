# SPDX-License-Identifier: GPL-2.0-or-later
"""The two steps that decide what is in a dump: look at the whole, then select pages. A Xen host has its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mdf.capture.options import Options
from mdf.capture.selection import Selection, select
from mdf.capture.survey import Survey, survey
from mdf.core.arch import ARCHITECTURES, Architecture
from mdf.core.dumps import Dump
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Messages


class Analysis(Protocol):
    """What `capture` and `split` are told by."""

    def survey(self, dump: Dump, options: Options, messages: Messages, files: int, given: Vmcoreinfo | None) -> Survey:
        """Looks at a dump that goes into so many files; `given` is the kernel information that `options` name."""
        ...

    def select(self, seen: Survey, requested: int, messages: Messages, *, elf: bool = False) -> Selection:
        """Selects the pages that a dump level keeps."""
        ...


@dataclass(frozen=True)
class LinuxAnalysis:
    """The memory of a Linux kernel, of any of `architectures`."""

    architectures: Mapping[str, Architecture] = field(default_factory=lambda: ARCHITECTURES)

    def survey(self, dump: Dump, options: Options, messages: Messages, files: int, given: Vmcoreinfo | None) -> Survey:
        return survey(dump, options, messages, self.architectures, files, given)

    def select(self, seen: Survey, requested: int, messages: Messages, *, elf: bool = False) -> Selection:
        return select(seen, requested, messages, elf=elf)


LINUX = LinuxAnalysis()
