# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's debug information: what a vmlinux says of its symbols and types, in the keys of VMCOREINFO."""

from mdf.core.debuginfo.find import Found, find

__all__ = ["Found", "find"]
