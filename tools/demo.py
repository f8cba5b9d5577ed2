# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets everything up and makes a first dump: `python3 tools/demo.py`.

No crashed machine is needed: the vmcore is made by the tests' factory, with real struct pages, page tables and
VMCOREINFO of a 6.1 kernel. What it makes is in build/.
"""

from __future__ import annotations

import os

from environment import BUILD, ROOT, environment, everything, run


def main() -> None:
    """Installs into build/demo, makes build/vmcore, and dumps it to build/dump."""
    programs = environment("demo", *everything())
    vmcore, dump = BUILD / "vmcore", BUILD / "dump"
    os.environ["PYTHONPATH"] = str(ROOT / "tests")
    run(f"{programs}/python", "-m", "factory.large", "--gib", "1", str(vmcore))
    del os.environ["PYTHONPATH"]
    run(f"{programs}/makedumpfile", "-c", "-d", "31", "-f", "--show-stats", str(vmcore), str(dump))
    for path in (vmcore, dump):
        print(f"{path.stat().st_size:>12,} bytes  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
