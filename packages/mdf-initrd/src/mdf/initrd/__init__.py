# SPDX-License-Identifier: GPL-2.0-or-later
"""makedumpfile for the initrd of a capture kernel: a tree of files that needs nothing of that initrd."""
