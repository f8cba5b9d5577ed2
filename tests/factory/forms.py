# SPDX-License-Identifier: GPL-2.0-or-later
"""Forms of page tables: what entries look like on each machine, by the processors' and the kernel's own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from factory.form import Form, mask
from factory.wide_forms import WIDE_FORMS

if TYPE_CHECKING:
    from factory.spec import Spec


def _flags(**by_shift: int) -> Callable[[int, int], int]:
    """`s12=0x63`: entries of pages of 4 KiB have these bits."""
    return lambda paddr, shift: paddr | by_shift[f"s{shift}"]


def _i386(_spec: Spec) -> Form:
    leaf = _flags(s22=0xE3, s12=0x163)
    return Form(3, "i686", (22, 12), (10, 10), lambda paddr: paddr | 0x67, mask(0xFFFFF000), leaf, (22, 12),
                0xC0000000, 0xF0000000, width=4, mapped=True, bits_of_word=32)  # fmt: skip


def _i386_pae(_spec: Spec) -> Form:
    leaf = _flags(s21=1 << 63 | 0x11E3, s12=1 << 63 | 0x163)
    return Form(3, "i686", (30, 21, 12), (2, 9, 9), lambda paddr: paddr | 1, mask(0xFFFFFFFFFF000), leaf, (21, 12),
                0xC0000000, 0xF0000000, mapped=True, bits_of_word=32)  # fmt: skip


def _arm(_spec: Spec) -> Form:
    # Linux has its own table in the first half of a page, and the processor's behind it.
    leaf = _flags(s24=0x4040E, s20=0x1141E, s16=0x5D, s12=0x45F)
    return Form(40, "armv7l", (20, 12), (12, 8), lambda paddr: paddr | 0x11, mask(0xFFFFFC00), leaf, (24, 20, 16, 12),
                0xC0000000, 0xF0000000, width=4, inset=0xC00, mapped=True, counted=True, bits_of_word=32)  # fmt: skip


def _arm_lpae(_spec: Spec) -> Form:
    leaf = _flags(s30=0x60000000000701, s21=0x60000000000711, s12=0x60000000000713)
    return Form(40, "armv7l", (30, 21, 12), (2, 9, 9), lambda paddr: paddr | 3, mask(0xFFFFFFF000), leaf, (30, 21, 12),
                0xC0000000, 0xF0000000, mapped=True, counted=True, bits_of_word=32)  # fmt: skip


def _three(page_shift: int) -> tuple[int, int, int]:
    return page_shift + 2 * (page_shift - 3), page_shift + page_shift - 3, page_shift


def _loongarch64(spec: Spec) -> Form:
    shifts, bits = _three(spec.page_shift), spec.page_shift - 3
    huge, small = 1 << 62 | 1 << 12 | 0x1D3, 1 << 62 | 0x1D3
    return Form(258, "loongarch64", shifts, (bits,) * 3, lambda paddr: paddr | 0x9000000000000000,
                mask(0xFFFFFFFFFFFF), lambda paddr, shift: paddr | (small if shift == spec.page_shift else huge),
                shifts, 0x9000000000000000, 0xFFFF800000000000)  # fmt: skip


def _mips64(spec: Spec) -> Form:
    shifts, bits = _three(spec.page_shift), spec.page_shift - 3
    special = spec.generation.release >= (5, 3, 0)

    def leaf(paddr: int, shift: int) -> int:
        hardware = 0b101_111 << 6 if special else 0b101_111 << 5  # cache, dirty, valid, global; read and exec bits: 0
        return paddr << (2 if special else 1) | hardware << 2 | 0b1111 | (0x10 if shift > spec.page_shift else 0)

    return Form(8, "mips64", shifts, (bits + (spec.page_shift == 12), bits, bits),
                lambda paddr: paddr | 0x9800000000000000, mask(0xFFFFFFFFFFFF), leaf, shifts[1:],
                0x9800000000000000, 0xC000000000000000, image=lambda paddr: 0xFFFFFFFF80000000 + paddr)  # fmt: skip


def _sparc64(spec: Spec) -> Form:
    shifts = (43, 33, 23, 13) if spec.generation.release >= (3, 8, 13) else (33, 23, 13)
    leaf = _flags(s33=0x8100000000000010, s23=0x8100000000000010, s13=0x8000000000000010)
    return Form(43, "sparc64", shifts, (10,) * len(shifts), lambda paddr: paddr, lambda entry: entry, leaf,
                (33, 23, 13) if len(shifts) == 4 else (23, 13), 0xFFFFF80000000000, 0x100000000,
                mapped=spec.generation.release >= (3, 13, 0), image=lambda _: 0x400000)  # fmt: skip


def _ia64(spec: Spec) -> Form:
    shifts: tuple[int, ...] = _three(spec.page_shift)
    bits = spec.page_shift - 3
    if "CONFIG_PGTABLE_4=y" in spec.extra:
        shifts = (shifts[0] + bits, *shifts)
    return Form(50, "ia64", shifts, (bits,) * len(shifts), lambda paddr: paddr, lambda entry: entry,
                lambda paddr, _: paddr | 0x10000000000661, (spec.page_shift,), 0xE000000000000000,
                0xA000000200000000, image=lambda _: 0xA000000100000000)  # fmt: skip


def _ppc(_spec: Spec) -> Form:
    return Form(20, "ppc", (22, 12), (10, 10), lambda paddr: paddr, lambda entry: entry & 0x3FFFF000,
                _flags(s12=0x587), (12,), 0xC0000000, 0xF1000000, width=4, bits_of_word=32)  # fmt: skip


def _ppc_book_e(_spec: Spec) -> Form:
    return Form(20, "ppc", (22, 12), (10, 10), lambda paddr: paddr + 0xC0000000, lambda entry: entry - 0xC0000000,
                _flags(s12=0x70F), (12,), 0xC0000000, 0xF1000000, width=4, bits_of_word=32)  # fmt: skip


FORMS: dict[str, Callable[[Spec], Form]] = {
    "i386": _i386,
    "i386-pae": _i386_pae,
    "arm": _arm,
    "arm-lpae": _arm_lpae,
    "loongarch64": _loongarch64,
    "mips64": _mips64,
    "sparc64": _sparc64,
    "ia64": _ia64,
    "ppc": _ppc,
    "ppc-book-e": _ppc_book_e,
    **WIDE_FORMS,
}


def form_of(spec: Spec) -> Form | None:
    """The page tables of a machine that is in this table."""
    return FORMS[spec.arch](spec) if spec.arch in FORMS else None
