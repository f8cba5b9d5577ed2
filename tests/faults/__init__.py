# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of the system under every command: what they leave behind. docs/reliability.md has the table."""
