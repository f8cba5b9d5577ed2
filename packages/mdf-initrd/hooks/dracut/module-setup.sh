#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Puts makedumpfile into the initrd that dracut makes. The name of the module's folder sorts it behind kdumpbase, so that
# it replaces what that has installed.

check() {
    require_binaries mdf-initrd || return 1
    # Where kdump's own module is part of the initrd, or when it is asked for.
    return 255
}

depends() {
    return 0
}

install() {
    mdf-initrd "$initdir"
}
