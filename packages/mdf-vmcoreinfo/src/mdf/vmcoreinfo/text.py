# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found of a kernel: as the text that -g writes, as JSON, and what is missing for people."""

from __future__ import annotations

import json

from mdf.core.debuginfo.find import ZERO_PAGE, Found
from mdf.core.errors import MissingInfoError
from mdf.vmcoreinfo.needs import FINDING_PAGES, unmet


def vmcoreinfo_text(found: Found) -> str:
    """The lines of VMCOREINFO. Raises MissingInfoError if no dump could be filtered with them."""
    if found.release is None:
        raise MissingInfoError(
            f"{found.path} has no kernel release: there is no linux_banner in it.",
            hint="Debug information in a file of its own has no data: use the whole vmlinux.",
        )
    if any(need.purpose == FINDING_PAGES for need, _ in unmet(found.values)):
        raise MissingInfoError(
            "Can't find the memory type.", hint=f"{found.path} does not say how the kernel keeps its struct pages."
        )
    return _lines(f"OSRELEASE={found.release}", found)


def xen_text(found: Found) -> str:
    """The lines for a Xen hypervisor. Raises MissingInfoError if there are none."""
    if not found.values:
        raise MissingInfoError(f"{found.path} is no Xen hypervisor: it has none of its symbols and types.")
    return _lines("", found)


def _lines(first: str, found: Found) -> str:
    if found.page_size is None:
        raise MissingInfoError(
            f"{found.path}: the page size is not known: {found.machine} has several, and {ZERO_PAGE} doesn't tell.",
            hint="On a machine of the same kind, the page size of the running kernel is taken.",
        )
    values = (f"{key}={value}" for key, value in found.values.items())
    return "".join(f"{line}\n" for line in (first, f"PAGESIZE={found.page_size}", *values) if line)


def as_json(found: Found) -> str:
    """All that was found, as one object."""
    return json.dumps(
        {
            "file": str(found.path),
            "release": found.release,
            "build_id": found.build_id,
            "machine": found.machine,
            "page_size": found.page_size,
            "read": found.sources,
            "values": found.values,
            "missing": found.missing,
            "costs": [
                {"purpose": need.purpose, "dump_levels": need.dump_levels, "without": need.without, "missing": keys}
                for need, keys in unmet(found.values)
            ],
        },
        indent=2,
    )


def missing_text(found: Found) -> str:
    """What is missing and what that costs, and then all lines that are not there."""
    lines = []
    for need, keys in unmet(found.values):
        levels = f"dump levels with {', '.join(map(str, need.dump_levels))}: " if need.dump_levels else ""
        lines.append(f"{levels}{need.purpose} needs {', '.join(key.replace('|', ' or ') for key in keys)}")
        lines.append(f"    without: {need.without}")
    lines.append(f"not known are {len(found.missing)} of {len(found.missing) + len(found.values)}:")
    return "\n".join([*lines, *(f"    {key}" for key in found.missing)]) + "\n"
