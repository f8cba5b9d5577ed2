# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a small dump file out of a crashed Xen host's memory image."""
