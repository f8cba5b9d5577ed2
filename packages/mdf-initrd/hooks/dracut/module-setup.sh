#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Puts makedumpfile into the initrd that dracut makes. The module's folder is sorted behind kdump's own, so that this
# replaces what that has installed. mkdumprd says by IN_KDUMP that it makes the initrd of a capture kernel; otherwise the
# module is used when it is asked for: add_dracutmodules+=" makedumpfile "

check() {
    require_binaries mdf-initrd || return 1
    [[ -n ${IN_KDUMP-} ]] || return 255
}

depends() {
    return 0
}

install() {
    mdf-initrd "$initdir"
}
