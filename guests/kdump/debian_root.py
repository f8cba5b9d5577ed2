# SPDX-License-Identifier: GPL-2.0-or-later
"""A root file system of Debian's with kdump-tools, whose makedumpfile is ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from guests.debian import MIRROR
from guests.kdump.check import OURS, run
from guests.kdump.crash import Captured
from guests.kdump.pages import Pages
from guests.kdump.parts import payload
from guests.kdump.statement import Check
from guests.parts import guests_cache

SUITE = "bookworm"
RESULTS = "/var/crash"

# kdump-tools runs this in its capture kernel, which has the normal root file system.
STEPS = f"""\
mount -t proc proc /mnt/proc
mount --bind /dev /mnt/dev
mount --bind /sys /mnt/sys
mkdir -p /mnt{RESULTS}
cd /mnt{RESULTS}
step savecore chroot /mnt /usr/sbin/kdump-config savecore
step raw cp /proc/vmcore vmcore
umount /mnt/proc /mnt/dev /mnt/sys
"""


def debian_root() -> Path | None:
    """The root, made once; None where it cannot be made: that needs mmdebstrap, and to be root."""
    root = guests_cache() / f"root-{SUITE}"
    if not (root / "usr/sbin/kdump-config").exists():
        if shutil.which("mmdebstrap") is None:
            return None
        shutil.rmtree(root, ignore_errors=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=kdump-tools", SUITE, str(root), MIRROR]
        if subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            return None
    settings = root / "etc/default/kdump-tools"
    settings.write_text(settings.read_text().replace("USE_KDUMP=0", "USE_KDUMP=1"))
    payload(root)
    return root


def kdump_tools(captured: Captured, reference: tuple[str, ...]) -> Iterator[Check]:
    """Checks of what the scripts of kdump-tools have saved."""
    step = captured.steps.get("savecore")
    printed = captured.folder / "savecore.out"
    detail = printed.read_text(errors="replace")[-500:] if printed.exists() else ""
    yield Check("kdump-config savecore ends with status 0", step is not None and step.status == 0, detail)
    dumps, logs = ([*captured.folder.glob(f"2*/{name}.2*")] for name in ("dump", "dmesg"))
    yield Check("it leaves a dump and a log with its stamp", len(dumps) == len(logs) == 1, detail)
    if not dumps:
        return
    whole, raw, expected = (captured.folder / name for name in ("whole", "vmcore", "expected"))
    status, text = run(*OURS, "-R", whole, stdin=dumps[0])
    yield Check("the dump is a whole flattened stream", status == 0, text[-300:])
    run(*reference, "-c", "-d", "31", raw, expected)
    yield Check("it is what the reference makes of the raw vmcore", whole.exists() and Pages(raw, expected).same(whole))
