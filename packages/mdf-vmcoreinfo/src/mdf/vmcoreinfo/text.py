# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found of a kernel, as the text that -g writes, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mdf.core.errors import MissingInfoError
from mdf.vmcoreinfo.generate import Found
from mdf.vmcoreinfo.needs import unmet


def vmcoreinfo_text(found: Found) -> str:
    """The lines of VMCOREINFO. Raises MissingInfoError if no dump could be filtered with them."""
    if found.release is None:
        raise MissingInfoError(
            f"{found.path} has no OSRELEASE: there is no kernel's name (linux_banner).",
            hint="Debug information in a file of its own has no data: use the whole vmlinux.",
        )
    if not has_memory_model(found.values):
        raise MissingInfoError(
            "Can't find the memory type.", hint=f"{found.path} does not know how the kernel keeps its struct pages."
        )
    head = {"OSRELEASE": found.release, "PAGESIZE": str(found.page_size)}
    return lines(head | dict(found.values))


def lines(values: Mapping[str, str]) -> str:
    """One line for each value."""
    return "".join(f"{key}={value}\n" for key, value in values.items())


def has_memory_model(values: Mapping[str, str]) -> bool:
    """Whether the struct pages can be found: with DISCONTIGMEM, SPARSEMEM or FLATMEM."""
    return not any(need.purpose == "finding the struct pages" for need, _ in unmet(values))


def as_json(found: Found) -> str:
    """All that was found, one object."""
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
                {"purpose": need.purpose, "dump_levels": need.levels, "missing": keys}
                for need, keys in unmet(found.values)
            ],
        },
        indent=2,
    )


def missing_text(found: Found) -> str:
    """Which needs are not met, and which lines are not known, for people."""
    text = [f"{need.effect}: there is no {' and no '.join(keys)}" for need, keys in unmet(found.values)]
    text.append(f"not known, {len(found.missing)} of {len(found.missing) + len(found.values)}:")
    return "\n".join([*text, *(f"  {key}" for key in found.missing)]) + "\n"
