# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes a small dump file out of a vmcore: leaves pages out by class and compresses the rest."""
