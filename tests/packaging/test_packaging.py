# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages as they are given away: built twice to the same bytes, and each at work with only what it declares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest.importorskip("build", reason="pip install build hatchling")

# What each package must do when nothing but itself and what it declares is installed.
ALONE = {
    "makedumpfile": ["makedumpfile", "--check-params", "-c", "-d", "31", "vmcore", "dump"],
    "mdf-capture": ["mdf-capture", "--check-params", "-c", "-d", "31", "vmcore", "dump"],
    "mdf-core": ["python", "-c", "import mdf.core.dumps, mdf.core.kernel, mdf.core.arch"],
    "mdf-dmesg": ["mdf-dmesg", "--check-params", "vmcore", "log"],
    "mdf-initrd": ["mdf-initrd", "--list"],
    "mdf-rearrange": ["mdf-rearrange", "--check-params", "dump"],
    "mdf-split": ["mdf-split", "--check-params", "-c", "-d", "31", "vmcore", "part1", "part2"],
    "mdf-vmcoreinfo": ["mdf-vmcoreinfo", "--check-params", "-x", "vmlinux", "-g", "vmcoreinfo"],
    "mdf-xen": ["mdf-xen", "--check-params", "-c", "vmcore", "dump"],
}


def build(origin: Path, folder: Path, umask: int) -> Path:
    """Builds everything out of a copy of the sources in `origin`, with other times and permissions."""
    sources = folder / "sources"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "tests")
    old = os.umask(umask)
    try:
        shutil.copytree(origin, sources, ignore=ignored, copy_function=_copy)
        run(sys.executable, str(sources / "tools/dist.py"), str(folder / "dist"))
    finally:
        os.umask(old)
    return folder / "dist"


def _copy(source: str, target: str) -> str:
    """Copies a file without its time, and of its permissions only whether it is a program."""
    shutil.copyfile(source, target)
    if os.access(source, os.X_OK):
        os.chmod(target, os.stat(target).st_mode | 0o100)
    return target


def run(*command: str) -> str:
    """What a command prints; it has to succeed. It sees nothing of this checkout's sources."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, f"{command}: {result.stdout[-1000:]}{result.stderr[-2000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All wheels and source archives."""
    return build(ROOT, tmp_path_factory.mktemp("first"), 0o022)


@pytest.fixture(scope="module")
def third_party(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels of other projects that ours declare; skips where they cannot be had."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary", ":all:", "--find-links", str(dist)]
    result = subprocess.run([*command, "-d", str(folder), "makedumpfile"], capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip(f"wheels cannot be downloaded: {result.stderr.strip().splitlines()[-1:]}")
    for file in (*folder.glob("mdf_*"), *folder.glob("makedumpfile*")):
        file.unlink()
    return folder


def wheel(dist: Path, package: str) -> zipfile.ZipFile:
    """The wheel of a package."""
    [path] = dist.glob(f"{package.replace('-', '_')}-*.whl")
    return zipfile.ZipFile(path)


def shared(archive: zipfile.ZipFile) -> set[str]:
    """Where a wheel puts what is not code, below the prefix."""
    return {name.partition(".data/data/")[2] for name in archive.namelist()} - {""}


def test_what_is_built_twice_is_the_same_to_the_byte(dist: Path, tmp_path: Path) -> None:
    second = build(dist.parent / "sources", tmp_path, 0o077)
    names = sorted(file.name for file in dist.iterdir())
    assert len(names) == 2 * len(ALONE)
    assert names == sorted(file.name for file in second.iterdir())
    assert [name for name in names if (dist / name).read_bytes() != (second / name).read_bytes()] == []


@pytest.mark.parametrize("package", ALONE)
def test_a_package_works_with_only_what_it_declares(
    package: str, dist: Path, third_party: Path, tmp_path: Path
) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path))
    programs = tmp_path / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "install", "-q", "--no-index"]
    run(*pip, "--find-links", str(dist), "--find-links", str(third_party), package)
    command, *arguments = ALONE[package]
    run(str(programs / command), *arguments)
    assert all((tmp_path / place).is_file() for place in shared(wheel(dist, package)))


@pytest.mark.parametrize("package", [name for name in ALONE if name != "mdf-core"])
def test_a_wheel_brings_manual_pages_and_completions(package: str, dist: Path) -> None:
    assert {
        f"share/man/man8/{package}.8",
        f"share/bash-completion/completions/{package}",
        f"share/zsh/site-functions/_{package}",
    } <= shared(wheel(dist, package))


def test_the_hooks_are_programs_where_they_are_looked_for(dist: Path) -> None:
    archive = wheel(dist, "mdf-initrd")
    hooks = [info for info in archive.infolist() if "/hooks/" in info.filename or "/dracut/" in info.filename]
    assert [info.filename.partition(".data/data/")[2] for info in hooks] == [
        "share/initramfs-tools/hooks/makedumpfile",
        "lib/dracut/modules.d/99makedumpfile/module-setup.sh",
    ]
    assert all(info.external_attr >> 16 & 0o111 == 0o111 for info in hooks)


@pytest.mark.parametrize("package", ALONE)
def test_a_source_archive_has_what_its_wheel_needs(package: str, dist: Path) -> None:
    [path] = dist.glob(f"{package.replace('-', '_')}-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml"} <= names
    assert any(name.startswith("src/") for name in names)
