# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel that crashed: memory by virtual address, memory models, nodes."""

from mdf.core.kernel.kernel import Kernel, open_kernel
from mdf.core.kernel.mem_map import MemMap, mem_map
from mdf.core.kernel.sources import given_info, kernel_info

__all__ = ["Kernel", "MemMap", "given_info", "kernel_info", "mem_map", "open_kernel"]
