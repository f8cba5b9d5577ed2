# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzzing: a target for every parser. See README.md."""
