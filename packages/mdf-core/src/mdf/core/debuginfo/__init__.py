# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's debug information: what a vmlinux says of its symbols and types, in the keys of VMCOREINFO (`find`), and
what a kernel carries of it in its own memory (`kallsyms`, `btf_search`).
"""
