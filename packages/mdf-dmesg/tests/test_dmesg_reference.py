# SPDX-License-Identifier: GPL-2.0-or-later
"""The factory's logs through an installed makedumpfile: its text is ours, byte for byte."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from factory import MIB, Model, Ram, Spec, build
from factory.printk import LocklessRing, Message, PlainRing, StructuredLog
from mdf.dmesg import Options, save_log

# Of the distribution: one in a virtual environment can be ours. Versions before 1.7.3 do not know callers.
FOUND = shutil.which("makedumpfile", path="/usr/sbin:/usr/bin:/sbin:/bin")
REFERENCE = shlex.split(os.environ.get("MDF_REFERENCE", FOUND or ""))
WITHOUT = ("OFFSET(printk_info.caller_id)", "OFFSET(printk_log.caller_id)")
RELEASES = ["2.6.24", "2.6.32", "3.4.0", "3.5.0", "3.11.0", "4.19.0", "5.4.0", "5.10.0", "6.1.0"]


def messages(count: int) -> list[Message]:
    source = random.Random(count)
    texts = [source.randbytes(source.randrange(60)) if number % 3 else b"two\nlines\n" for number in range(count)]
    return [Message(text, source.randrange(10**13)) for text in texts]


def ring_of(spec: Spec, count: int) -> LocklessRing | StructuredLog | PlainRing:
    release = spec.generation.release
    if release < (3, 5, 0):
        plain = PlainRing(spec, 4096)
        for message in messages(count):
            plain.append(message.text + b"\n")
        return plain
    if release < (5, 10, 0):
        structured = StructuredLog(spec, 8192)
        indexes = [structured.append(message, b"SUBSYSTEM=x") for message in messages(count)]
        structured.clear = indexes[-5]
        return structured
    lockless = LocklessRing(spec, 6, 12, clear_seq=count - 5, latched=release >= (5, 13, 0))
    for message in messages(count):
        lockless.append(message)
    lockless.append(Message(b"reserved"), state=0)
    lockless.append(Message(b"lost"), room=-1)
    lockless.append(Message(b"committed"), state=1)
    return lockless


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("count", [20, 400])
def test_the_text_is_the_references(release: str, count: int, tmp_path: Path) -> None:
    if not REFERENCE:
        pytest.skip("no makedumpfile: apt-get install makedumpfile, or set MDF_REFERENCE to the command")
    spec = Spec(release=release, ram=(Ram(1 * MIB, 5 * MIB),), model=Model.FLATMEM, without=WITHOUT)
    vmcore = ring_of(spec, count).put_into(build(spec)).elf(tmp_path / "vmcore")
    for partial in (False, True):
        log, expected = tmp_path / f"log-{partial}", tmp_path / f"expected-{partial}"
        options = ["--dump-dmesg", *["--partial-dmesg"] * partial, str(vmcore), str(expected)]
        subprocess.run([*REFERENCE, *options], check=True, capture_output=True)
        save_log(Options(vmcore, log, partial=partial))
        assert log.read_bytes() == expected.read_bytes()
