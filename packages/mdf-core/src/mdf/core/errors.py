# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors a command can end with, sorted by what the user can do about them.

Every error carries one line for the user (what, where), an optional `hint` (what to do), and the exit status of
the process. Leaves also subclass the builtin they resemble, so that callers from Python may catch either. Only the
`main` functions catch `MdfError` and print it.
"""

from __future__ import annotations

import errno


class MdfError(Exception):
    """Base of all errors raised on purpose. `str()` is one line; `hint` is one more, or None."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MdfError, ValueError):
    """The command line asks for something that cannot be: a wrong option, combination or operand count."""


class InputError(MdfError, OSError):
    """A file to read cannot be opened or read (missing, permission, I/O error)."""


class FormatError(MdfError, ValueError):
    """A file is not what it claims to be: wrong signature, truncated, impossible sizes or offsets."""


class UnsupportedError(MdfError, NotImplementedError):
    """A sound file or a sound request that this program does not handle (a machine, a header version)."""


class MissingInfoError(MdfError, LookupError):
    """The kernel information (VMCOREINFO) lacks something this run needs."""


class AddressError(MdfError, LookupError):
    """An address is not mapped by the kernel's page tables, or its page is not in the dump."""


class MismatchError(MdfError):
    """Kernel information of another kernel than the one that crashed: exit status 2."""

    exit_code = 2


class MissingPackageError(MdfError, ImportError):
    """An optional package is not installed; the hint names it."""


class MissingCodecError(MissingPackageError):
    """A page codec is not installed; the hint names the package that brings it."""


class OutputError(MdfError, OSError):
    """The output cannot be created or written."""


class OutputExistsError(OutputError, FileExistsError):
    """The output exists and overwriting was not asked for."""


class NoSpaceError(OutputError):
    """The output device is full (or a size limit is reached)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno.ENOSPC
