# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures: one module for each, and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from mdf.core.arch import arm, arm64, i386, ia64, loongarch64, mips64, ppc, ppc64, riscv64, s390x, sparc64, x86_64
from mdf.core.arch.machine import Architecture, Machine
from mdf.core.dumps import Dump
from mdf.core.errors import UnsupportedError

__all__ = ["ARCHITECTURES", "Architecture", "Machine", "architecture_of", "phys_base_of"]

# By utsname.machine.
ARCHITECTURES: Mapping[str, Architecture] = {
    "aarch64": arm64.ARCHITECTURE,
    "arm": arm.ARCHITECTURE,
    "i686": i386.ARCHITECTURE,
    "ia64": ia64.ARCHITECTURE,
    "loongarch64": loongarch64.ARCHITECTURE,
    "mips64": mips64.ARCHITECTURE,
    "ppc": ppc.ARCHITECTURE,
    "ppc64": ppc64.ARCHITECTURE,
    "riscv64": riscv64.ARCHITECTURE,
    "s390x": s390x.ARCHITECTURE,
    "sparc64": sparc64.ARCHITECTURE,
    "x86_64": x86_64.ARCHITECTURE,
}

# Names that hold a processor's model, as a pattern, and the machine they stand for.
_MODELS = (("i?86", "i686"), ("aarch64*", "aarch64"), ("arm*", "arm"), ("ppc64*", "ppc64"))


def architecture_of(dump: Dump, architectures: Mapping[str, Architecture] = ARCHITECTURES) -> Architecture:
    """The architecture of the machine that crashed. Raises UnsupportedError for one that is not known."""
    architecture = architectures.get(_name(dump.machine))
    if architecture is None:
        known = ", ".join(sorted(architectures))
        raise UnsupportedError(
            f"{dump.source.path}: dumps of the machine {dump.machine or 'unknown'!r} are not supported.",
            hint=f"Supported machines: {known}.",
        )
    return architecture


def phys_base_of(dump: Dump) -> int:
    """What a dump header says as phys_base when nothing is known of the kernel; 0 for an unknown machine."""
    architecture = ARCHITECTURES.get(_name(dump.machine))
    return architecture.phys_base(dump, None) if architecture else dump.phys_base or 0


def _name(machine: str) -> str:
    return next((name for pattern, name in _MODELS if fnmatchcase(machine, pattern)), machine)
