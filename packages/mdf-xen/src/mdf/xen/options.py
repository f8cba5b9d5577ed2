# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of a Xen host's dump: the arguments as one frozen record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mdf.capture.options import Options
from mdf.core import lenient
from mdf.core.commandline import INVALID, ParsedArguments
from mdf.core.errors import UsageError
from mdf.core.options import Mode
from mdf.core.rules import check
from mdf.split.options import SplitOptions
from mdf.xen.layouts import PAGE_STATES

MODES = Mode.XEN | Mode.CAPTURE | Mode.SPLIT


@dataclass(frozen=True)
class XenOptions:
    """A dump to make as `dump` says, or as `split` does, into several files.

    `exclude_user_domains` leaves out what is neither domain 0's nor the hypervisor's. `xen_syms` and `xen_vmcoreinfo`
    are other sources of the hypervisor's symbols and types than the vmcore itself. `xen_phys_start` is where the
    hypervisor is in memory (0: where it says itself), `page_state` the name of a layout of page states ("old",
    "new") to take instead of the one that the pages show.
    """

    dump: Options
    exclude_user_domains: bool = False
    xen_syms: Path | None = None
    xen_vmcoreinfo: Path | None = None
    xen_phys_start: int = 0
    page_state: str | None = None
    split: SplitOptions | None = None

    @classmethod
    def from_parsed(cls, parsed: ParsedArguments) -> XenOptions:
        """Reads and checks arguments. Raises UsageError for what cannot be, UnsupportedError for what is not there."""
        state = parsed.last("xen_page_state")
        if state is not None and state not in PAGE_STATES:
            raise UsageError(f"--xen-page-state is {' or '.join(PAGE_STATES)}, not {state!r}", hint=INVALID)
        # The two options are one in the original; a kernel's text is told from a hypervisor's by what it says.
        check(parsed)
        xen_text, xen_syms = parsed.last("xen_vmcoreinfo"), parsed.last("xen_syms")
        given = tuple(pair for pair in parsed.given if pair[0] != "xen_vmcoreinfo")
        others = ParsedArguments(given, parsed.operands)
        split = SplitOptions.from_parsed(others, MODES, "mdf-xen") if parsed.has("split") else None
        return cls(
            split.dump if split else Options.from_parsed(others, MODES, "mdf-xen"),
            split=split,
            exclude_user_domains=parsed.has("exclude_xen_user_domain"),
            xen_syms=Path(xen_syms) if xen_syms else None,
            xen_vmcoreinfo=Path(xen_text) if xen_text else None,
            xen_phys_start=lenient.address(parsed.last("xen_phys_start") or "0"),
            page_state=state,
        )
