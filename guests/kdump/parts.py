# SPDX-License-Identifier: GPL-2.0-or-later
"""What the two initramfs are made of, besides the kernel: kexec, ssh and the reference, and our payload."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from guests.debian import apt_for, unpack
from guests.machines import Guest
from guests.parts import guests_cache
from judges import fetch
from mdf.initrd.payload import Entry
from mdf.initrd.tree import write_tree

PACKAGES = ("busybox-static", "kexec-tools", "makedumpfile", "openssh-client")
LOADER = "ld-linux-x86-64.so.2"
REFERENCE = "usr/bin/makedumpfile"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64", "lib64")


def tools(guest: Guest) -> Path:
    """A folder with the programs of the guest's suite; fetched once."""
    folder = guests_cache() / f"kdump-tools-{guest.suite}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        apt = apt_for(guest, folder / "apt")
        unpack(apt.download_all(*PACKAGES), folder)
        shutil.rmtree(folder / "apt")
        (folder / "done").touch()
    return folder


def reference_root(guest: Guest) -> Path:
    """The folder with the reference: the newest one if it was fetched, else that of the guest's suite.

    An older one than the kernel leaves out less.
    """
    return fetch.judges_cache() / "newest" if fetch.newest("makedumpfile") else tools(guest)


def program(root: Path, name: str) -> tuple[str, ...]:
    """The command line that runs a program below `root` on this host, with its own loader and libraries."""
    loader = next(path for path in _needed(root, root / name) if path.name == LOADER)
    return (str(loader), "--library-path", ":".join(str(root / folder) for folder in LIBRARIES), str(root / name))


def copy_program(root: Path, name: str, target: Path, to: str) -> None:
    """Copies the program `name` (a path below `root`) to `to` below `target`.

    Its libraries and its loader go to a folder of its suite: those of our payload are another's.
    """
    libraries = list(_needed(root, root / name))
    place = PurePosixPath(to)
    if not libraries:
        write_tree(target, [Entry(place, root / name, executable=True)])
        return
    home = PurePosixPath("programs", root.name)
    files = {place.name: root / name} | {library.name: library for library in libraries}
    start = f'#!/bin/sh\nexec /{home}/{LOADER} --library-path /{home} /{home}/{place.name} "$@"\n'
    entries = [Entry(home / file, content, executable=True) for file, content in files.items()]
    write_tree(target, [*entries, Entry(place, start.encode(), executable=True)])


def _needed(root: Path, program: Path) -> Iterator[Path]:
    """The libraries of a program, and theirs, the loader among them; none of a static program."""
    todo = [program]
    seen: set[str] = set()
    while todo:
        with todo.pop().open("rb") as file:
            dynamic = ELFFile(file).get_section_by_name(".dynamic")
            tags = [*dynamic.iter_tags("DT_NEEDED")] if isinstance(dynamic, DynamicSection) else []
            names = {str(vars(tag)["needed"]) for tag in tags} | ({LOADER} if tags else set())
        for name in names - seen:
            seen.add(name)
            path = next(root / folder / name for folder in LIBRARIES if (root / folder / name).is_file())
            todo.append(path)
            yield path


def payload(target: Path) -> None:
    """Puts our makedumpfile below `target`, in the way its users do."""
    command = (sys.executable, "-c", "import sys; from mdf.initrd.cli import main; sys.exit(main())", str(target))
    subprocess.run(command, check=True)
