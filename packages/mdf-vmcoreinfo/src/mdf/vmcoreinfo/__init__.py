# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes VMCOREINFO from a kernel's debug information."""
