# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures: one module for each, and one line here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from importlib import import_module

from mdf.core.arch.machine import Architecture, Machine
from mdf.core.dumps import Dump
from mdf.core.errors import UnsupportedError

__all__ = ["ARCHITECTURES", "Architecture", "Machine", "Registry", "architecture_of", "phys_base_of"]


class Registry(Mapping[str, Architecture]):
    """Architectures by utsname.machine: the names of their modules here, each loaded when it is asked for."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules

    def __getitem__(self, machine: str) -> Architecture:
        architecture: Architecture = import_module(f"{__name__}.{self._modules[machine]}").ARCHITECTURE
        return architecture

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


ARCHITECTURES: Mapping[str, Architecture] = Registry(
    {
        "aarch64": "arm64",
        "arm": "arm",
        "i686": "i386",
        "ia64": "ia64",
        "loongarch64": "loongarch64",
        "mips64": "mips64",
        "ppc": "ppc",
        "ppc64": "ppc64",
        "riscv64": "riscv64",
        "s390x": "s390x",
        "sparc64": "sparc64",
        "x86_64": "x86_64",
    }
)

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
