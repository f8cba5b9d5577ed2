# SPDX-License-Identifier: GPL-2.0-or-later
"""Real crashes: a kernel crashes in QEMU, its capture kernel saves its memory with our makedumpfile.

python -m guests 6.1
"""
