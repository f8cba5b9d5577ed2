# SPDX-License-Identifier: GPL-2.0-or-later
"""The parameter check: which mode a command line asks for, and which options cannot be used together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mdf.core.commandline import INVALID, ParsedArguments
from mdf.core.errors import UnsupportedError, UsageError
from mdf.core.lenient import LiteralUsageError
from mdf.core.options import COMPRESSIONS, OPTIONS, Mode

_FLAG = {option.name: option.flags[0] for option in OPTIONS}

# The first that is given decides; without any it is Mode.CAPTURE.
MODE_OPTIONS = (
    ("check_dump", Mode.CHECK),
    ("generate", Mode.GENERATE),
    ("rearrange", Mode.REARRANGE),
    ("reassemble", Mode.REASSEMBLE),
    ("dump_dmesg", Mode.DMESG),
    ("mem_usage", Mode.MEM_USAGE),
    ("exclude_xen_user_domain", Mode.XEN),
    ("xen_syms", Mode.XEN),
    ("xen_vmcoreinfo", Mode.XEN),
    ("xen_phys_start", Mode.XEN),
    ("xen_page_state", Mode.XEN),
    ("xen_dmesg", Mode.XEN),
    ("split", Mode.SPLIT),
)

# The command of each mode.
COMMANDS = {
    Mode.CAPTURE: "mdf-capture",
    Mode.CHECK: "mdf-capture",
    Mode.SPLIT: "mdf-split",
    Mode.XEN: "mdf-xen",
    Mode.MEM_USAGE: "mdf-capture",
    Mode.DMESG: "mdf-dmesg",
    Mode.REASSEMBLE: "mdf-reassemble",
    Mode.REARRANGE: "mdf-rearrange",
    Mode.GENERATE: "mdf-vmcoreinfo",
}


@dataclass(frozen=True)
class Rule:
    """`option` cannot be used with any option of `forbids`, or only with one of `needs`.

    `line` is the sentence scripts know for it, where there is one.
    """

    option: str
    forbids: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    line: str = ""


_DUMPING = ("dump_levels", *COMPRESSIONS, "elf", "vmcoreinfo", "xen_vmcoreinfo", "flattened", "exclude_xen_user_domain")

_READ_RULES = (
    Rule("elf", forbids=COMPRESSIONS),
    Rule("vmlinux", forbids=("vmcoreinfo", "xen_vmcoreinfo")),
    Rule("xen_syms", forbids=("vmcoreinfo", "xen_vmcoreinfo")),
    Rule("flattened", forbids=("split",)),
    Rule("erase_config", needs=("vmlinux",)),
    Rule("partial_dmesg", needs=("dump_dmesg",)),
    Rule("split", forbids=("elf",), line="Options for splitting dumpfile cannot be used with Elf format."),
    Rule("num_threads", forbids=("split",), line="--num-threads cannot used with --split."),
    Rule("num_threads", forbids=("elf",), line="--num-threads cannot used with ELF format."),
    Rule("dry_run", forbids=("dump_dmesg",), line="--dry-run cannot be used with --dump-dmesg."),
    Rule("exclude_unused_vmemmap", needs=("work_dir",), line="-e requires --work-dir"),
)

RULES = {
    Mode.READ: _READ_RULES,
    Mode.REASSEMBLE: (
        Rule("reassemble", forbids=(*_DUMPING, "vmlinux", "xen_syms", "split")),
        Rule("dry_run", forbids=("reassemble",), line="--dry-run cannot be used with --reassemble."),
    ),
    Mode.REARRANGE: (Rule("rearrange", forbids=(*_DUMPING, "vmlinux", "xen_syms")),),
    Mode.CHECK: (
        Rule("check_dump", forbids=(*_DUMPING, "vmlinux", "xen_syms", "generate", "rearrange", "reassemble", "split")),
    ),
    Mode.ALL & ~Mode.CHECK: (Rule("json", needs=("check_dump",)),),
    Mode.GENERATE: (
        Rule("generate", forbids=(*_DUMPING, "rearrange")),
        Rule("generate", needs=("vmlinux", "xen_syms")),
        Rule("dry_run", forbids=("generate",), line="--dry-run cannot be used with -g."),
    ),
}


def mode_of(parsed: ParsedArguments) -> Mode:
    """What the command line asks for."""
    return next((mode for name, mode in MODE_OPTIONS if parsed.last(name) is not None), Mode.CAPTURE)


def check(parsed: ParsedArguments) -> None:
    """Raises UsageError for options that cannot be used together, and for a wrong number of operands."""
    mode = mode_of(parsed)
    for modes, rules in RULES.items():
        for rule in rules if mode & modes else ():
            if parsed.has(rule.option):
                _check_rule(parsed, rule)
    if not _operands_fit(parsed, mode):
        names = " ".join(parsed.operands) or "none"
        raise UsageError(f"wrong number of operands: {names}", hint=INVALID)


def _check_rule(parsed: ParsedArguments, rule: Rule) -> None:
    wrong = next((name for name in rule.forbids if parsed.has(name)), None)
    if wrong is None and (not rule.needs or any(map(parsed.has, rule.needs))):
        return
    if rule.line:
        raise LiteralUsageError(rule.line, hint=INVALID)
    if wrong:
        raise UsageError(f"{_FLAG[rule.option]} cannot be used with {_FLAG[wrong]}", hint=INVALID)
    raise UsageError(f"{_FLAG[rule.option]} needs {' or '.join(map(_FLAG.__getitem__, rule.needs))}", hint=INVALID)


def _operands_fit(parsed: ParsedArguments, mode: Mode) -> bool:
    count = len(parsed.operands)
    if mode is Mode.CHECK:
        return count >= 1
    if mode in Mode.GENERATE | Mode.REARRANGE:
        return count == (mode is Mode.REARRANGE)
    if mode is Mode.REASSEMBLE:
        return count >= 2
    if parsed.has("flattened") or (parsed.has("mem_usage") and count == 1):
        return count == 1
    inputs = not parsed.has("disk_set")
    return count >= inputs + 2 if parsed.has("split") else count == inputs + 1


def expect_mode(parsed: ParsedArguments, modes: Mode, name: str) -> None:
    """Raises UnsupportedError if the arguments ask for another mode than the command `name` has."""
    mode = mode_of(parsed)
    if mode not in modes:
        option = next(option for option, selected in MODE_OPTIONS if selected is mode and parsed.has(option))
        raise UnsupportedError(f"{name} does not do {_FLAG[option]}.", hint=f"{COMMANDS[mode]} does.")


def require_supported(options: Any, not_yet: Mapping[str, str]) -> None:
    """Raises UnsupportedError if a field of the dataclass `options` that is in `not_yet` is not at its default.

    `not_yet` says, by field, what nothing acts on yet, in the user's words.
    """
    for field in fields(options):
        if field.name in not_yet and getattr(options, field.name) != field.default:
            raise UnsupportedError(f"{not_yet[field.name]} is not there yet.")
