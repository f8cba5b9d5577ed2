# SPDX-License-Identifier: GPL-2.0-or-later
"""Times this makedumpfile against the original, in turn on the same vmcore: `python -m bench --help`.

CPU time is user and system of the whole process with its children; peak memory is its largest resident set. Both
programs read the vmcore from the page cache, so that the disk does not take part; the bench says when the vmcore is too
large for that. Every number is the median of the pairs, every ratio the median of the ratios within the pairs, so that
a slow moment of the machine meets both.
"""
