# SPDX-License-Identifier: GPL-2.0-or-later
"""Where kernel information comes from: a vmlinux (-x) or a text (-i) first, then the dump's own VMCOREINFO."""

from __future__ import annotations

from pathlib import Path

from mdf.core.dumps import Dump
from mdf.core.errors import FormatError, InputError, MismatchError, MissingInfoError
from mdf.core.formats.diskdump import UTSNAME_RELEASE, utsname_field
from mdf.core.formats.vmcoreinfo import TEXT_MAX, Vmcoreinfo
from mdf.core.messages import Messages

# Machines whose KERNELOFFSET is the distance between the addresses in vmlinux and in memory.
_KERNELOFFSET_MACHINES = ("x86_64", "aarch64", "s390x")
# Symbols that every text has: their addresses tell how far the kernel was moved.
_ANCHORS = ("init_uts_ns", "system_utsname")


def given_info(vmlinux: Path | None, text: Path | None) -> Vmcoreinfo | None:
    """What a vmlinux, or a file with the lines of VMCOREINFO, says of its kernel; None without either.

    Read before the dump, which has no page size of its own if it has no VMCOREINFO: pass the result to `open_dump`.
    Raises InputError for a file that cannot be read, FormatError, MissingInfoError or UnsupportedError for one that is
    not what it should be.
    """
    if vmlinux is not None:
        # Here, because a run without -x does without.
        from mdf.core.debuginfo.find import find

        return find(vmlinux, dwarf_beside_btf=False).vmcoreinfo
    if text is None:
        return None
    info = read_text(text, "OSRELEASE", "-i takes a file that -g has written; a vmlinux goes with -x.")
    for key in ("OSRELEASE", "PAGESIZE"):
        if not info.values.get(key):
            raise MissingInfoError(f"{text}: vmcoreinfo has no {key}.")
    return info


def read_text(path: Path, key: str, hint: str) -> Vmcoreinfo:
    """A file with lines of VMCOREINFO, which has one for `key`. Raises InputError, and FormatError with `hint`."""
    try:
        with path.open("rb") as file:
            data = file.read(TEXT_MAX + 1)
    except OSError as error:
        raise InputError(f"Can't open the vmcoreinfo file({path}). {error.strerror}") from error
    if len(data) > TEXT_MAX or f"{key}=".encode() not in data:
        raise FormatError(
            f"{path} is no vmcoreinfo: {key} is not in its first {TEXT_MAX} bytes, or there are more.",
            hint=hint,
        )
    return Vmcoreinfo.parse(data, str(path))


def kernel_info(dump: Dump, given: Vmcoreinfo | None, messages: Messages) -> Vmcoreinfo | None:
    """What is known of a dump's kernel: `given`, and where that says nothing the dump's VMCOREINFO. None without both.

    Symbols of `given` are relocated by the kernel's KASLR offset. Of PAGESIZE and CRASHTIME the dump's count. Raises
    MismatchError if `given` is of another kernel.
    """
    own = dump.info
    if given is None:
        return own
    _check_kernel(dump, given, messages)
    offset = _offset(dump, given, messages)
    if own is None:
        return given.relocated(offset, dump.bits)
    return given.relocated(offset, dump.bits).completed(own)


def _check_kernel(dump: Dump, given: Vmcoreinfo, messages: Messages) -> None:
    theirs, ours = given.values.get("OSRELEASE"), _release_of(dump)
    ids = given.values.get("BUILD-ID"), dump.info.values.get("BUILD-ID") if dump.info else None
    if all(ids):
        if ids[0] != ids[1]:
            raise mismatch(given, dump, ours, f" (build-id {ids[0]}, not {ids[1]})")
    elif theirs is None:
        messages.common(f"{given.source} doesn't say of which kernel it is: whether of the crashed one is not checked.")
    elif ours and theirs != ours:
        raise mismatch(given, dump, ours)


def _release_of(dump: Dump) -> str:
    """What the dump says of itself; empty if it does not."""
    own = dump.info.values.get("OSRELEASE") if dump.info else None
    return own or utsname_field(dump.utsname, UTSNAME_RELEASE)


def is_of(given: Vmcoreinfo, utsname: bytes) -> bool:
    """Whether `given` does not contradict the kernel's own name."""
    return given.values.get("OSRELEASE") in (None, utsname_field(utsname, UTSNAME_RELEASE)[:64])


def mismatch(given: Vmcoreinfo, dump: Dump, release: str, detail: str = "") -> MismatchError:
    """The error for kernel information of another kernel than the crashed one, whose release is `release`."""
    theirs = given.values.get("OSRELEASE", "another kernel")
    return MismatchError(
        f"{given.source} and {dump.source.path} don't match.",
        hint=f"{given.source} is of {theirs}{detail}; the crashed kernel is {release or 'another one'}.",
    )


def _offset(dump: Dump, given: Vmcoreinfo, messages: Messages) -> int:
    """How far the crashed kernel's symbols are from those of `given`, in bytes."""
    own = dump.info
    if own is None:
        if not dump.xen:  # Xen's domain 0 is not moved.
            messages.common(
                f"{dump.source.path} doesn't contain vmcoreinfo: that KASLR didn't move the kernel is assumed."
            )
        return 0
    kaslr = own.kernel_offset if dump.machine in _KERNELOFFSET_MACHINES else None
    for name in _ANCHORS:
        here, there = given.symbol(name), own.symbol(name)
        if here is not None and there is not None:
            # What a running kernel says of itself is relocated already.
            if kaslr is not None and there - here not in (0, kaslr):
                raise mismatch(given, dump, _release_of(dump), ", but with other addresses")
            return there - here
    return kaslr or 0
