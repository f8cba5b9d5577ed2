# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes the kernel's log out of a vmcore."""
