# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the hypervisor's symbols and types come from: a file, its own debug information, or the note in the dump."""

from __future__ import annotations

from dataclasses import replace

from mdf.core.dumps import Dump
from mdf.core.errors import MissingInfoError
from mdf.core.formats.vmcoreinfo import Vmcoreinfo
from mdf.core.kernel.sources import read_text
from mdf.xen.options import XenOptions

# The line that every vmcoreinfo of a hypervisor has, and no kernel's.
_MARK = "SYMBOL(domain_list)"
_HINT = "Specify '--xen-syms' option or '--xen-vmcoreinfo' option."


def with_sources_told_apart(options: XenOptions) -> XenOptions:
    """The same options: what is given as a kernel's text and is a hypervisor's, or both, becomes that.

    Raises InputError or FormatError for a file that is neither.
    """
    path = options.dump.vmcoreinfo
    if path is None:
        return options
    text = read_text(path, "PAGESIZE", "It takes a file that -g has written.")
    if _MARK not in text.values:
        return options
    told = replace(options, xen_vmcoreinfo=options.xen_vmcoreinfo or path)
    if "OSRELEASE" in text.values:
        return told
    dump = replace(options.dump, vmcoreinfo=None)
    return replace(told, dump=dump, split=options.split and replace(options.split, dump=dump))


def hypervisor_info(options: XenOptions, dump: Dump) -> Vmcoreinfo | None:
    """What is known of the hypervisor of a dump: by a text, else by xen-syms, else by its own note; None without any.

    Raises InputError or FormatError for a file that is not what it should be.
    """
    if options.xen_vmcoreinfo:
        return read_text(options.xen_vmcoreinfo, _MARK, "It takes a file that -g has written of --xen-syms.")
    if options.xen_syms:
        # Here, because a run without --xen-syms does without.
        from mdf.core.debuginfo.find import find
        from mdf.core.debuginfo.keys import XEN

        return find(options.xen_syms, XEN).vmcoreinfo
    text = dump.notes.xen_vmcoreinfo
    return None if text is None else Vmcoreinfo.parse(text, str(dump.source.path))


def required_info(options: XenOptions, dump: Dump) -> Vmcoreinfo:
    """The same. Raises MissingInfoError without any."""
    info = hypervisor_info(options, dump)
    if info is None:
        raise MissingInfoError(f"{dump.source.path} doesn't contain a vmcoreinfo for Xen.", hint=_HINT)
    return info
