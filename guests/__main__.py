# SPDX-License-Identifier: GPL-2.0-or-later
"""python -m guests NAME...: runs guests and checks what we make of their memory; KERNEL... crashes kernels."""

from __future__ import annotations

import sys

from guests.check import check
from guests.kdump.kernels import KERNELS
from guests.kdump.main import crash
from guests.machines import GUESTS
from guests.parts import guests_cache
from guests.qemu import GuestError
from guests.run import run
from judges.fetch import UnavailableError


def main(names: list[str]) -> int:
    """Runs guests one after the other; 1 if an answer of ours is not that of a guest."""
    known = (*GUESTS, *KERNELS)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no guest {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    return max([_one(name) for name in names or known])


def _one(name: str) -> int:
    try:
        return crash(name) if name in KERNELS else int(not check(run(name)))
    except UnavailableError as error:
        print(f"{name}: skipped, Debian's packages are not to be had: {error}", file=sys.stderr)
        return 0
    except GuestError as error:
        print(f"{name}: {error}; its console is in {guests_cache()}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
