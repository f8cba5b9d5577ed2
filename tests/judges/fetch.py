# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetches the judges that a machine's own packages don't give, from Debian's archive:

- the newest makedumpfile and crash, unpacked together with the libraries and the loader they need;
- vmlinux with debug information of the corpus's kernels, for crash, drgn and gdb;
- a kernel for a guest of QEMU.

`python tests/judges/fetch.py` fetches what is not there yet; it needs apt-get and dpkg-deb, but not root. All goes to
MDF_JUDGES_CACHE (else a folder of the user's caches); to get newer judges, remove that. What could not be fetched is
named, the exit status is 1, and its tests are skipped.
"""

import mmap
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

SIGNED_BY = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
SUITES = (f"{MIRROR} sid", f"{MIRROR}-security bookworm-security")
TOOLS = ("crash", "makedumpfile")
LIBRARIES = Path("usr", "lib", "x86_64-linux-gnu")
TIMEOUT = 900  # seconds for each command
GNU_BUILD_ID = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0"


@dataclass(frozen=True)
class Kernel:
    """Which package has the debug information of a corpus item's kernel."""

    item: str
    package: str
    build_id: str


KERNELS = (
    Kernel("x86_64-6.1-kdump", "linux-image-6.1.0-56-amd64-dbg", "eb4fbcd037e7253717950bf2b93bd5566f47c56f"),
    Kernel("x86_64-7.2-kdump", "linux-image-7.2.13+deb14-cloud-amd64-dbg", "8a55a05d35a15fe072cfd7e22593672daae112af"),
)

GUEST_KERNEL = "linux-image-6.1.0-56-cloud-amd64"


def judges_cache() -> Path:
    """Where all that is fetched stays."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MDF_JUDGES_CACHE") or Path(caches, "makedumpfile-judges"))


def vmlinux(item: str) -> Path | None:
    """The debug information of the item's kernel, if it was fetched."""
    path = judges_cache() / item / "vmlinux"
    return path if path.exists() else None


def guest_kernel() -> Path | None:
    """The folder of the guest's kernel and its modules, if it was fetched."""
    path = judges_cache() / GUEST_KERNEL
    return path if path.exists() else None


def newest(tool: str) -> tuple[str, ...] | None:
    """The command line that runs the newest `tool` with its own libraries, if it was fetched."""
    root = judges_cache() / "newest"
    binary, libraries = root / "usr" / "bin" / tool, root / LIBRARIES
    if not binary.exists():
        return None
    return (str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(binary))


class UnavailableError(RuntimeError):
    """Something could not be fetched."""


class Apt:
    """An apt in a folder of its own, for `suites` (address and name) of one architecture.

    Neither root nor the machine's own apt is touched, and nothing counts as installed.
    """

    def __init__(self, folder: Path, *suites: str, architecture: str = "amd64") -> None:
        self.archives = folder / "archives"
        for directory in (folder / "lists" / "partial", self.archives / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        sources = (f"deb [arch={architecture} signed-by={SIGNED_BY}] {suite} main\n" for suite in suites)
        (folder / "sources.list").write_text("".join(sources))
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
        self.environment = os.environ | {"APT_CONFIG": str(config), "LC_ALL": "C"}
        self._get("update", "--error-on=any")

    def download(self, package: str) -> Path:
        """The package's file."""
        self._get("download", package)
        (file,) = self.archives.glob(f"{package}_*.deb")
        return file

    def download_all(self, *packages: str) -> list[Path]:
        """The files of the packages and of all they depend on."""
        self._get("install", "--yes", "--download-only", *packages)
        return sorted(self.archives.glob("*.deb"))

    def _get(self, *arguments: str) -> None:
        _run("apt-get", "--quiet", *arguments, environment=self.environment, folder=self.archives)


def unpack(packages: Iterable[Path], target: Path) -> None:
    """Unpacks the files of packages into `target`."""
    for package in packages:
        _run("dpkg-deb", "--extract", str(package), str(target))


def unpack_vmlinux(package: Path, target: Path) -> None:
    """Nothing but vmlinux of a package: its modules are ten times as large."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as dpkg:
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as members:
            for member in members:
                content = members.extractfile(member) if Path(member.name).name.startswith("vmlinux") else None
                if content:
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    break
        dpkg.kill()


def fetch_guest_kernel(apt: Apt, target: Path) -> None:
    """Unpack the guest's kernel."""
    unpack([apt.download(GUEST_KERNEL)], target)


def fetch_tools(apt: Apt, target: Path) -> None:
    """Unpack the newest tools with everything they depend on."""
    unpack(apt.download_all(*TOOLS), target)


def fetch_vmlinux(kernel: Kernel, apt: Apt, target: Path) -> None:
    """Unpack the kernel's vmlinux, if it is of the right build."""
    package = apt.download(kernel.package)
    target.mkdir()
    unpack_vmlinux(package, target / "vmlinux")
    package.unlink()
    if not has_build_id(target / "vmlinux", kernel.build_id):
        raise UnavailableError(f"{kernel.package} in the archive is of another build than {kernel.item}")


def main() -> int:
    """Fetch what is missing."""
    cache = judges_cache()
    wanted: dict[str, Callable[[Apt, Path], None]] = {"newest": fetch_tools, GUEST_KERNEL: fetch_guest_kernel}
    wanted |= {kernel.item: partial(fetch_vmlinux, kernel) for kernel in KERNELS}
    missing = {name: fetch for name, fetch in wanted.items() if not (cache / name).exists()}
    if not missing:
        print(f"all judges are in {cache}")
        return 0
    cache.mkdir(parents=True, exist_ok=True)
    failures = 0
    with tempfile.TemporaryDirectory(prefix="fetching.", dir=cache) as scratch:
        try:
            apt = Apt(Path(scratch, "apt"), *SUITES)
        except UnavailableError as error:
            print(f"no judges could be fetched: {error}", file=sys.stderr)
            return 1
        for name, fetch in missing.items():
            target = Path(scratch, name)
            try:
                fetch(apt, target)
                os.rename(target, cache / name)
                print(f"fetched {cache / name}")
            except (UnavailableError, OSError, tarfile.TarError) as error:
                print(f"could not fetch {name}: {error}", file=sys.stderr)
                failures += 1
    return 1 if failures else 0


def _run(*command: str, environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
    try:
        subprocess.run(
            command, env=environment, cwd=folder, timeout=TIMEOUT, check=True, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not installed; this needs Debian") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{' '.join(command)}: no answer in {TIMEOUT} s") from error
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines()
        raise UnavailableError(f"{' '.join(command)}: {lines[-1] if lines else 'failed'}") from error


def has_build_id(path: Path, build_id: str) -> bool:
    """Whether the file has this GNU build-id note."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(GNU_BUILD_ID + bytes.fromhex(build_id)) >= 0


if __name__ == "__main__":
    sys.exit(main())
