# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes small vmcores from nothing: any kernel generation, memory model, word size and byte order.

A second writing of the formats and of the kernel's structures, apart from the code under test. See README.md.
"""

from factory.build import build
from factory.elf import ElfStyle, Segment
from factory.flattened import flatten
from factory.kdump import KdumpStyle
from factory.kinds import (
    Anon,
    Cache,
    Content,
    Free,
    Hugetlb,
    Hwpoison,
    Kernel,
    Kind,
    Ksm,
    LargeFolio,
    Movable,
    Offline,
    OwnerPrivate,
    PageTable,
    PcpFree,
    Placement,
    Slab,
    SwapCache,
    Thp,
    Unaccepted,
    place,
)
from factory.layouts import random_layout
from factory.memmap import Piece
from factory.spec import MIB, Lookup, Model, Note, Online, Ram, Spec
from factory.vmcore import Vmcore

__all__ = [
    "MIB",
    "Anon",
    "Cache",
    "Content",
    "ElfStyle",
    "Free",
    "Hugetlb",
    "Hwpoison",
    "KdumpStyle",
    "Kernel",
    "Kind",
    "Ksm",
    "LargeFolio",
    "Lookup",
    "Model",
    "Movable",
    "Note",
    "Offline",
    "Online",
    "OwnerPrivate",
    "PageTable",
    "PcpFree",
    "Piece",
    "Placement",
    "Ram",
    "Segment",
    "Slab",
    "Spec",
    "SwapCache",
    "Thp",
    "Unaccepted",
    "Vmcore",
    "build",
    "flatten",
    "place",
    "random_layout",
]
