# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots real kernels in QEMU, lets them fill their memory, dumps it, and compares our answers with their own.

python -m guests i386-pae
"""
