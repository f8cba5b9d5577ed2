# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as they are on disk. Byte order and word size are parameters of a record, never of the host."""
