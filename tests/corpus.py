# SPDX-License-Identifier: GPL-2.0-or-later
"""Real vmcores, each with what the reference makes of it.

The corpus is a folder beside the checkout (`../shared/corpus`), or the one that MDF_CORPUS names; its README.md tells
what `expected.json` holds. Files are stored as `NAME.xz` and unpacked once into MDF_CACHE (else a folder of the user's
caches). Without the corpus, or without an item of it, whatever asks is skipped: the test, or when importing the module.
"""

import hashlib
import json
import lzma
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CHUNK = 1 << 18


def corpus() -> Path:
    """The folder of the corpus."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    return _existing(Path(os.environ.get("MDF_CORPUS") or beside))


def corpus_items(prefix: str = "") -> tuple[str, ...]:
    """Names of the items that start with `prefix`, as "x86_64"."""
    return tuple(sorted(path.parent.name for path in corpus().glob(f"{prefix}*/expected.json")))


def expected(item: str) -> dict[str, Any]:
    """What the reference makes of the item's vmcore: its `expected.json`."""
    answers: dict[str, Any] = json.loads(_existing(corpus() / item / "expected.json").read_bytes())
    return answers


def dmesg(item: str) -> bytes:
    """What the reference's --dump-dmesg writes of the item's vmcore."""
    return _existing(corpus() / item / "dmesg.txt").read_bytes()


def vmcore(item: str) -> Path:
    """The item's vmcore, unpacked."""
    return unpacked(item, "vmcore")


@cache
def unpacked(item: str, name: str) -> Path:
    """The item's file `name`, unpacked into the cache; a changed corpus gets a new place there."""
    packed = _existing(corpus() / item / f"{name}.xz")
    with packed.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = _cache() / f"{item}-{digest[:12]}" / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _unpack(packed, target)
    return target


def _cache() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MDF_CACHE") or Path(caches, "makedumpfile-tests"))


def _existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no {path}: point MDF_CORPUS at the corpus of real vmcores", allow_module_level=True)
    return path


def _unpack(packed: Path, target: Path) -> None:
    """Unpack under another name, then rename: tests may run side by side. Zeros become holes."""
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", dir=target.parent)
    try:
        with lzma.open(packed) as source, open(handle, "wb") as file:
            while chunk := source.read(CHUNK):
                if chunk == bytes(len(chunk)):
                    file.seek(len(chunk), os.SEEK_CUR)
                else:
                    file.write(chunk)
            file.truncate()
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
