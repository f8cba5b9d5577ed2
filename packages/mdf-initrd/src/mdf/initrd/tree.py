# SPDX-License-Identifier: GPL-2.0-or-later
"""The payload as files below a folder that becomes the root of an initrd."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mdf.core.errors import OutputError
from mdf.initrd.payload import Entry

# Where an initrd may have a makedumpfile already, which a search by name would find before ours.
OTHERS = (PurePosixPath("usr/sbin/makedumpfile"), PurePosixPath("sbin/makedumpfile"), PurePosixPath("bin/makedumpfile"))
OURS = PurePosixPath("usr/bin/makedumpfile")


def write_tree(root: Path, entries: Iterable[Entry]) -> None:
    """Writes the entries below `root`, and replaces another makedumpfile that is there.

    Files that are there already are replaced. Raises OutputError for a folder that leads out of `root`.
    """
    written = list(entries)
    for entry in written:
        _write(root, entry)
    if all(entry.target != OURS for entry in written):
        return
    ours = (root / OURS).parent.resolve() / OURS.name
    for other in OTHERS:
        folder = (root / other).parent.resolve()
        if os.path.lexists(root / other) and folder != ours.parent:
            _write(root, Entry(other, link=os.path.relpath(ours, folder)))


def _write(root: Path, entry: Entry) -> None:
    path = root / entry.target
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise OutputError(f"{path.parent} leads out of {root}.", hint="Links in the root of an initrd are relative.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if entry.link:
        path.symlink_to(entry.link)
    else:
        path.write_bytes(entry.read())
        path.chmod(0o755 if entry.executable else 0o644)
