# SPDX-License-Identifier: GPL-2.0-or-later
"""The original makedumpfile reads our dumps, and writes the same ones."""

import filecmp
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from corpus import dmesg, vmcore
from factory import Spec, build, random_layout
from judges.programs import Makedumpfile

ITEM = "x86_64-6.1-kdump"

# Kernels that each version of the original knows; the newer ones it filters wrongly.
INSTALLED = ("2.6.24", "2.6.32", "3.10.0", "4.4.0", "4.14.0", "4.19.0", "5.10.0", "5.15.0", "6.1.0")
NEWEST = (*INSTALLED, "6.5.0", "6.8.0", "6.10.0", "6.12.0", "6.16.0", "7.0.0", "7.2.0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the vmcore of a kernel release, with everything that kernel can have in it."""
    folder = tmp_path_factory.mktemp("made")

    @cache
    def make(release: str) -> Path:
        return build(random_layout(Spec(release=release), seed=1)).elf(folder / release)

    return make


@pytest.mark.parametrize("options", [("-c", "-d31"), ("-E", "-d31")], ids=" ".join)
def test_the_reference_finds_the_same_log_in_our_dump_as_in_the_vmcore(
    ours: Makedumpfile, reference: Makedumpfile, options: tuple[str, ...]
) -> None:
    log = reference.dmesg(ours.dump(vmcore(ITEM), *options))
    assert b"Kernel panic - not syncing: sysrq triggered crash" in log
    assert log == reference.dmesg(vmcore(ITEM))


@pytest.mark.parametrize("reference", ["newest"], indirect=True)
def test_the_newest_reference_finds_the_expected_log_in_our_dump(ours: Makedumpfile, reference: Makedumpfile) -> None:
    assert reference.dmesg(ours.dump(vmcore(ITEM), "-c", "-d31")) == dmesg(ITEM)


def test_the_reference_makes_of_our_dump_what_it_makes_of_its_own(ours: Makedumpfile, reference: Makedumpfile) -> None:
    of_ours = reference.dump(ours.dump(vmcore(ITEM), "-c", "-d1"), "-d31")
    of_its_own = reference.dump(reference.dump(vmcore(ITEM), "-c", "-d1"), "-d31")
    assert filecmp.cmp(of_ours, of_its_own, shallow=False)


def test_we_make_of_the_references_dump_what_it_makes_itself(ours: Makedumpfile, reference: Makedumpfile) -> None:
    dump = reference.dump(vmcore(ITEM), "-c", "-d1")
    assert filecmp.cmp(ours.dump(dump, "-d31"), reference.dump(dump, "-d31"), shallow=False)


@pytest.mark.parametrize("options", [("-d31",), ("-d17",), ("-E", "-d31")], ids=" ".join)
def test_our_dump_of_a_real_vmcore_is_the_references(
    ours: Makedumpfile, reference: Makedumpfile, options: tuple[str, ...]
) -> None:
    assert filecmp.cmp(ours.dump(vmcore(ITEM), *options), reference.dump(vmcore(ITEM), *options), shallow=False)


@pytest.mark.parametrize("options", [("-d31",), ("-d1",), ("-E", "-d31")], ids=" ".join)
@pytest.mark.parametrize(
    ("reference", "release"),
    [*(("installed", release) for release in INSTALLED), *(("newest", release) for release in NEWEST)],
    indirect=["reference"],
)
def test_our_dump_of_a_made_vmcore_is_the_references(
    ours: Makedumpfile, reference: Makedumpfile, made: Callable[[str], Path], release: str, options: tuple[str, ...]
) -> None:
    assert filecmp.cmp(ours.dump(made(release), *options), reference.dump(made(release), *options), shallow=False)
