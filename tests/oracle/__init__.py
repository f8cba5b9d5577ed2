# SPDX-License-Identifier: GPL-2.0-or-later
"""The simplest possible page filter: one page after the other, for checking a fast one.

bitmap1, bitmap2, counters = filter_pages("vmcore", 31)
"""

from oracle.filter import Counters, filter_pages

__all__ = ["Counters", "filter_pages"]
