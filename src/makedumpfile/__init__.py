# SPDX-License-Identifier: GPL-2.0-or-later
"""The command makedumpfile: the original option syntax in front of the packages that do the work."""

__version__ = "0.1.0"
