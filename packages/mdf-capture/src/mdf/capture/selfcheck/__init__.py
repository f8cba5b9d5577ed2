# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter checks itself: what it would leave out is held against what else the kernel's memory says.

A new kernel moves a flag, a page type or a member of struct page, and a filter that does not know leaves out the wrong
pages without a word. Here such a class of pages is kept, and a line says so.
"""

from __future__ import annotations

from mdf.capture.selfcheck.check import SelfCheck
from mdf.capture.selfcheck.doubt import Doubt, asked_for, described, without
from mdf.capture.selfcheck.own_words import OwnWords

__all__ = ["Doubt", "OwnWords", "SelfCheck", "asked_for", "described", "without"]
