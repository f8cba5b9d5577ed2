# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes one dump into several files at once, and joins them again."""
