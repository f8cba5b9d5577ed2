# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that read the memory of a machine: page tables, the memory map, free lists, the log, made and real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from corpus import vmcore
from factory import Spec, Vmcore
from fuzz import machines, seeds
from fuzz.changed import changing
from fuzz.target import Target
from mdf.capture import Options, capture
from mdf.core.dumps import open_dump
from mdf.core.errors import AddressError, MdfError, MissingInfoError
from mdf.core.formats.elf import ByteOrder
from mdf.core.kernel import Kernel, mem_map
from mdf.dmesg.log import read_log

_RECORDS_MAX = 50_000


def _kernel(path: Path) -> Kernel:
    dump = open_dump(path)
    if dump.info is None:
        dump.close()
        raise MissingInfoError("nothing says where the kernel is")
    return Kernel(dump, dump.info)


def _look_up(addresses: Sequence[int], kernel: Kernel) -> None:
    for address in addresses:
        try:
            assert len(kernel.read(address, 4100)) == 4100
        except AddressError:
            continue


def _page_tables(name: str, path: Path, _: int) -> None:
    kernel = _kernel(path)
    with kernel.dump:
        _look_up(machines.addresses(name), kernel)


def _memory_map(path: Path, _: int) -> None:
    kernel = _kernel(path)
    with kernel.dump as dump:
        for piece in mem_map(kernel, dump.max_mapnr):
            assert 0 <= piece.pfn_start <= piece.pfn_end <= dump.max_mapnr


def _filter(path: Path, choice: int) -> None:
    level = (31, 16, 11, 4)[choice % 4]
    capture(Options(path, Path("/nowhere"), dump_levels=(level,), dry_run=True, num_threads=0))


def _log(path: Path, choice: int) -> None:
    kernel = _kernel(path)
    with kernel.dump:
        for count, _ in enumerate(read_log(kernel, partial=choice % 2 == 1)):
            assert count < _RECORDS_MAX


def _all_of_real(path: Path, choice: int) -> None:
    """What is read of a real kernel besides its struct pages, which take too long."""
    with suppress(MdfError):
        _log(path, choice)
    _memory_map(path, choice)


def _filtered(item: str, path: Path) -> None:
    """A real vmcore without all that a dump can be without, its pages as they are."""
    capture(Options(vmcore(item), path, dump_levels=(31,), force=True, num_threads=0))


def _write(core: Callable[[], Vmcore], path: Path) -> None:
    core().elf(path)


def _populated(spec: Spec) -> Callable[[Path], object]:
    return partial(_write, partial(machines.populated, spec))


def _targets() -> Iterator[Target]:
    for name, spec in machines.TABLES.items():
        write = partial(_write, partial(machines.tables, name))
        yield changing(f"tables-{name}", write, partial(_page_tables, name), spec.byteorder)
    for name, spec in machines.MODELS.items():
        yield changing(f"memory-map-{name}", _populated(spec), _memory_map)
    for name, spec in {**machines.MODELS, "free-lists": machines.FREE_LISTS}.items():
        yield changing(f"filter-{name}", _populated(spec), _filter)
    yield changing("filter-accounts", partial(_write, machines.accounted), _filter)
    for name in machines.LOGS:
        yield changing(name, partial(_write, partial(machines.logged, name)), _log)
    for item in seeds.real():
        if not item.startswith("xen"):
            order: ByteOrder = "big" if item.startswith("s390x") else "little"
            yield changing(f"real-{item}", partial(_filtered, item), _all_of_real, order)


MEMORY = tuple(_targets())
