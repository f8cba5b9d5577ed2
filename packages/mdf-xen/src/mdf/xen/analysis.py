# SPDX-License-Identifier: GPL-2.0-or-later
"""How a Xen host is looked at and its pages selected: domain 0's kernel, and whose pages the others are."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mdf.capture.analysis import LINUX
from mdf.capture.rules import DumpLevel, Kind
from mdf.capture.selection import Selection, effective_level
from mdf.capture.survey import Survey, check, counted
from mdf.core.commandline import INVALID
from mdf.core.dumps import Dump
from mdf.core.errors import MdfError, UsageError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.messages import Messages
from mdf.xen.dom0 import Dom0, exclude_from_dom0, open_dom0
from mdf.xen.exclusion import exclude_domains
from mdf.xen.hypervisor import Hypervisor
from mdf.xen.options import XenOptions
from mdf.xen.sources import required_info

_MACHINE = "x86_64"


@dataclass(frozen=True)
class XenSurvey(Survey):
    """A dump of a Xen host. `dom0` is None if nothing is known of its kernel, `hypervisor` if nobody asks for it."""

    dom0: Dom0 | None = None
    hypervisor: Hypervisor | None = None


@dataclass(frozen=True)
class XenAnalysis:
    """The memory of a Xen host; a dump of another machine is looked at as what it is."""

    options: XenOptions

    def survey(self, dump: Dump, options: object, messages: Messages, files: int, given: Vmcoreinfo | None) -> Survey:
        """Raises MdfError if the options can't be carried out on the dump."""
        asked = self.options
        if not dump.xen:
            if asked.exclude_user_domains:
                raise UsageError(
                    f"'-X' option is disabled, because {dump.source.path} is not Xen's memory core image.", hint=INVALID
                )
            return LINUX.survey(dump, asked.dump, messages, files, given)
        if dump.machine != _MACHINE and max(asked.dump.dump_levels) > DumpLevel.ZERO:
            raise UsageError("Dump_level is invalid. It should be 0 or 1.", hint=INVALID)
        check(dump, asked.dump, given)
        dom0 = self._dom0(dump, messages, given)
        hypervisor = None
        if asked.exclude_user_domains:
            hypervisor = Hypervisor(dump, required_info(asked, dump), asked.xen_phys_start)
            messages.debug(f"Xen version {hypervisor.crash.name}")
        seen = counted(dump, asked.dump, dom0.known if dom0 else None, dump.max_mapnr, files=files, one_pass=True)
        parts = {field.name: getattr(seen, field.name) for field in fields(Survey)}
        return XenSurvey(**parts, dom0=dom0, hypervisor=hypervisor)

    def _dom0(self, dump: Dump, messages: Messages, given: Vmcoreinfo | None) -> Dom0 | None:
        needed = max(self.options.dump.dump_levels) > DumpLevel.ZERO or self.options.dump.vtop is not None
        try:
            return open_dom0(dump, messages, given)
        except MdfError as error:
            if needed or given:
                raise
            # The dump can be made without.
            messages.common(f"Domain 0 is not known: {error}")
            return None

    def select(self, seen: Survey, requested: int, messages: Messages, *, elf: bool = False) -> Selection:
        """Selects the pages that a dump level keeps, and of those, with -X, the hypervisor's and domain 0's."""
        if not isinstance(seen, XenSurvey):
            return LINUX.select(seen, requested, messages, elf=elf)
        level = effective_level(seen.dump, requested, messages)
        keep = seen.dump.stored(seen.present)
        counters = dict.fromkeys(Kind, 0)
        if seen.dom0:
            counters = exclude_from_dom0(seen, seen.dom0, level, keep, messages)
        further: tuple[tuple[str, int], ...] = ()
        if seen.hypervisor:
            further = exclude_domains(seen.hypervisor, keep, self.options.page_state, messages).lines()
        return Selection(seen, level, keep, counters, further)
