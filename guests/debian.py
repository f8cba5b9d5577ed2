# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of any suite and architecture of Debian, unpacked; neither root nor the machine's own apt is touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
SIGNED_BY = "/usr/share/keyrings/debian-archive-keyring.gpg"
TIMEOUT = 900  # seconds for each command


class Apt:
    """An apt in a folder of its own, for one suite and architecture, to which nothing counts as installed."""

    def __init__(self, folder: Path, suite: str, architecture: str) -> None:
        self._archives = folder / "archives"
        for directory in (folder / "lists" / "partial", self._archives / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        (folder / "sources.list").write_text(f"deb [arch={architecture} signed-by={SIGNED_BY}] {MIRROR} {suite} main\n")
        (folder / "status").touch()
        config = folder / "apt.conf"
        config.write_text(
            f'Dir::Etc::SourceList "{folder}/sources.list";\n'
            'Dir::Etc::SourceParts "/dev/null";\n'
            'Dir::Etc::Preferences "/dev/null";\n'
            'Dir::Etc::PreferencesParts "/dev/null";\n'
            f'Dir::State::Lists "{folder}/lists";\n'
            f'Dir::State::Status "{folder}/status";\n'
            f'Dir::Cache "{folder}";\n'
            f'APT::Architecture "{architecture}";\n'
            f'APT::Architectures "{architecture}";\n'
            'APT::Install-Recommends "false";\n'
            'APT::Sandbox::User "";\n'
            'Debug::NoLocking "true";\n'
        )
        self._environment = os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}
        self._run("apt-get", "--quiet", "update", "--error-on=any")

    def download(self, *packages: str) -> list[Path]:
        """The files of the packages and of all they depend on."""
        self._run("apt-get", "--quiet", "install", "--yes", "--download-only", *packages)
        return sorted(self._archives.glob("*.deb"))

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(
                command,
                env=self._environment,
                cwd=self._archives,
                timeout=TIMEOUT,
                check=True,
                capture_output=True,
                text=True,
            )
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{' '.join(command)}: {str(error.stderr).strip()}") from error


def unpack(packages: Iterable[Path], target: Path) -> None:
    """Unpacks the files of packages into `target`."""
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", str(package), str(target)], check=True)
