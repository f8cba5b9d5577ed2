# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that crashed: memory by virtual address, memory models, nodes."""

from mdf.core.kernel.kernel import Kernel, open_kernel
from mdf.core.kernel.mem_map import MemMap, mem_map

__all__ = ["Kernel", "MemMap", "mem_map", "open_kernel"]
