# SPDX-License-Identifier: GPL-2.0-or-later
"""--vtop: one virtual address translated, with the page-table entries on the way."""

from __future__ import annotations

from mdf.core.arch.paging import Step
from mdf.core.errors import AddressError
from mdf.core.kernel import Kernel
from mdf.core.messages import Messages

_NOT_MAPPED = 0xFFFFFFFF_FFFFFFFF


def show_translation(kernel: Kernel, vaddr: int, messages: Messages) -> None:
    """Prints the translation; an address that is not mapped shows as all ones, with an error line."""

    def show(step: Step) -> None:
        messages.common(f"  {step.level:<4}: {step.entry_paddr:16x} => {step.entry:16x}")

    messages.common(f"\nTranslating virtual address {vaddr:x} to physical address.")
    try:
        paddr = kernel.trace(vaddr, show)
    except AddressError as error:
        messages.error(str(error))
        paddr = _NOT_MAPPED
    messages.common("VIRTUAL           PHYSICAL")
    messages.common(f"{vaddr:16x}  {paddr:x}\n")
