# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes an initramfs: a cpio archive in the form newc, from folders, files and text."""

from __future__ import annotations

import gzip
import lzma
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from elftools.elf.elffile import ELFFile


@dataclass
class Archive:
    """A cpio archive that grows; what was added first under a name stays."""

    _out: BytesIO = field(default_factory=BytesIO)
    _names: set[str] = field(default_factory=set)

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """Adds one entry; `name` without a leading slash, its folders before it."""
        parent = name.rpartition("/")[0]
        if parent and parent not in self._names:
            self.add(parent, stat.S_IFDIR | 0o755)
        if name in self._names:
            return
        self._names.add(name)
        raw = name.encode() + b"\0"
        fields = (len(self._names), mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        self._write(b"070701" + b"".join(b"%08x" % field for field in fields) + raw)
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._out.write(data + bytes(-(self._out.tell() + len(data)) % 4))

    def add_tree(self, root: Path) -> None:
        """Adds all that is below a folder."""
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_symlink():
                self.add(name, stat.S_IFLNK | 0o777, str(path.readlink()).encode())
            elif path.is_dir():
                self.add(name, stat.S_IFDIR | 0o755)
            else:
                self.add(name, stat.S_IFREG | path.stat().st_mode & 0o777, path.read_bytes())

    def compressed(self) -> bytes:
        """The archive as the kernel reads it."""
        self.add("TRAILER!!!", 0)
        return gzip.compress(self._out.getvalue(), 1)


def modules_with_needs(modules: Path, wanted: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """The names and contents of kernel modules, each after those it needs; built-in ones are left out.

    A module says in its section .modinfo, as "depends=a,b", what it needs.
    """
    files = {path.name.partition(".")[0].replace("-", "_"): path for path in modules.rglob("*.ko*")}
    done: set[str] = set()

    def load(name: str) -> Iterator[tuple[str, bytes]]:
        name = name.replace("-", "_")
        if name in done or name not in files:
            return
        done.add(name)
        data = files[name].read_bytes()
        if files[name].suffix == ".xz":
            data = lzma.decompress(data)
        section = ELFFile(BytesIO(data)).get_section_by_name(".modinfo")
        for line in section.data().split(b"\0") if section else ():
            if line.startswith(b"depends="):
                for need in filter(None, line[8:].decode().split(",")):
                    yield from load(need)
        yield name, data

    for name in wanted:
        yield from load(name)


def initramfs(root: Path, modules: Path, wanted: tuple[str, ...], files: Mapping[str, bytes]) -> bytes:
    """An initramfs of programs (`root`), modules in the order of /modules.order, and `files`, which are executable."""
    archive = Archive()
    archive.add_tree(root)
    for name in ("bin", "sbin", "lib", "lib64"):
        if (root / "usr" / name).exists():
            archive.add(name, stat.S_IFLNK | 0o777, f"usr/{name}".encode())
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for name, data in files.items():
        archive.add(name, stat.S_IFREG | 0o755, data)
    order = []
    for name, data in modules_with_needs(modules, wanted):
        order.append(f"/modules/{name}.ko")
        archive.add(order[-1][1:], stat.S_IFREG | 0o644, data)
    archive.add("modules.order", stat.S_IFREG | 0o644, "\n".join([*order, ""]).encode())
    for name in ("proc", "sys", "tmp", "mnt", "out"):
        archive.add(name, stat.S_IFDIR | 0o755)
    return archive.compressed()
