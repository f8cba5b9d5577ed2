# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading crashed Linux kernels' memory images: the shared core of the makedumpfile commands.

Layers, each importing only those before it: `errors`, `messages`, `bitmap`; `formats` (records on disk);
`dumps` (`open_dump`); `arch` (address translation); `kernel` (VMCOREINFO, memory models, `Kernel`).
"""

__version__ = "0.1.0"
