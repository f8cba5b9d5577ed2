# SPDX-License-Identifier: GPL-2.0-or-later
"""Just enough of libkdumpfile's C interface to look into a dump with it."""

import ctypes
import ctypes.util
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from judges import programs

PHYSICAL, VIRTUAL = 1, 2  # KDUMP_MACHPHYSADDR, KDUMP_KVADDR
NODATA = 3  # KDUMP_ERR_NODATA
NUMBER, ADDRESS, STRING = 2, 3, 4  # kdump_attr_type_t


class Value(ctypes.Union):
    """The value of kdump_attr_t."""

    _fields_ = (("number", ctypes.c_uint64), ("string", ctypes.c_char_p))


class Attribute(ctypes.Structure):
    """kdump_attr_t."""

    _fields_ = (("type", ctypes.c_int), ("value", Value))


def library() -> ctypes.CDLL:
    """Load libkdumpfile."""
    name = ctypes.util.find_library("kdumpfile")
    if name is None:
        programs.skip("libkdumpfile is not installed", "apt-get install python3-libkdumpfile")
    found = ctypes.CDLL(name)
    found.kdump_new.restype = ctypes.c_void_p
    found.kdump_get_err.restype = ctypes.c_char_p
    return found


class Kdumpfile:
    """A dump opened by libkdumpfile."""

    def __init__(self, path: Path) -> None:
        self._library = library()
        self._context = ctypes.c_void_p(self._library.kdump_new())
        self._handle = os.open(path, os.O_RDONLY)
        self._check(self._library.kdump_open_fdset(self._context, 1, (ctypes.c_int * 1)(self._handle)))
        linux = Attribute(STRING, Value(string=b"linux"))
        self._check(self._library.kdump_set_attr(self._context, b"addrxlat.ostype", ctypes.byref(linux)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._library.kdump_free(self._context)
        os.close(self._handle)

    def attribute(self, key: str) -> int | bytes:
        """A number, address or string that libkdumpfile knows of the dump."""
        attribute = Attribute()
        self._check(self._library.kdump_get_attr(self._context, key.encode(), ctypes.byref(attribute)))
        assert attribute.type in (NUMBER, ADDRESS, STRING)
        value: int | bytes = attribute.value.string if attribute.type == STRING else attribute.value.number
        return value

    def read(self, space: int, address: int, size: int) -> bytes | None:
        """Memory at a PHYSICAL or VIRTUAL address, or None where the dump has no data."""
        buffer, length = ctypes.create_string_buffer(size), ctypes.c_size_t(size)
        status = self._library.kdump_read(self._context, space, ctypes.c_uint64(address), buffer, ctypes.byref(length))
        if status == NODATA:
            self._library.kdump_clear_err(self._context)
            return None
        self._check(status)
        return buffer.raw

    def _check(self, status: int) -> None:
        assert status == 0, self._library.kdump_get_err(self._context).decode()
