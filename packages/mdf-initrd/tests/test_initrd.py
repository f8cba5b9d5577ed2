# SPDX-License-Identifier: GPL-2.0-or-later
"""The payload of an initrd: what is in it, that it needs nothing else, and what is refused."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from ctypes.util import find_library
from pathlib import Path, PurePosixPath

import pytest

from factory import MIB, Ram, Spec, build
from mdf.core.errors import MissingInfoError, OutputError
from mdf.initrd import cli, payload
from mdf.initrd.commands import installed
from mdf.initrd.libraries import names, needed
from mdf.initrd.modules import Module, load, own_module
from mdf.initrd.payload import APPLICATION, INTERPRETER, Entry
from mdf.initrd.tree import write_tree

HOOKS = Path(__file__).parents[1] / "hooks"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has nothing but the payload."""
    folder = tmp_path_factory.mktemp("root")
    write_tree(folder, payload.payload())
    return folder


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with `root` as the root of the file system; skips where that is not allowed."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    chroot = [shutil.which("chroot", path=path) or "chroot", str(root)]
    if os.geteuid():
        chroot = ["unshare", "--map-root-user", *chroot]
    if subprocess.run([*chroot, f"/{INTERPRETER}", "-ISc", ""], capture_output=True, check=False).returncode:
        pytest.skip("chroot is not allowed here")
    return subprocess.run(
        [*chroot, *command], env={"TMPDIR": "/"}, capture_output=True, text=True, errors="replace", check=False
    )


@pytest.mark.parametrize("command", sorted(installed()))
def test_every_command_prints_its_help_with_nothing_but_the_payload(root: Path, command: str) -> None:
    result = run(root, f"/usr/bin/{command}", "-h")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: {command} ")


def test_a_dump_is_made_with_nothing_but_the_payload(root: Path) -> None:
    build(Spec(release="6.1.0", ram=(Ram(1 * MIB, 16 * MIB),))).elf(root / "vmcore")
    for options in (["-c", "-d", "31"], ["-E", "-d", "31"], ["-c", "-d", "11,31", "--show-stats"]):
        result = run(root, "/usr/bin/mdf-capture", *options, "/vmcore", "/dump")
        assert (result.returncode, result.stderr.count("Traceback")) == (0, 0), result.stderr
        assert result.stdout.endswith("\nmakedumpfile Completed.\n")
        (root / "dump").unlink()


def test_an_error_is_a_line_there_too(root: Path) -> None:
    result = run(root, "/usr/bin/mdf-capture", "-c", "/nothing", "/dump")
    assert result.returncode == 1
    assert result.stderr == "Can't open the dump memory(/nothing). No such file or directory\n"


def test_the_payload_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    roots = [tmp_path / "first", tmp_path / "second"]
    for root in roots:
        root.mkdir()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-m", "mdf.initrd.cli", str(root)], env=environment, check=True)
    first, second = ({file.relative_to(root): file.read_bytes() for file in root.rglob("*.py[cz]")} for root in roots)
    assert first == second


def test_the_payload_has_only_what_is_needed() -> None:
    entries = payload.payload()
    targets = {entry.target for entry in entries}
    assert PurePosixPath("usr/bin/mdf-capture") in targets
    assert not [target for target in targets if target.suffix in (".py", ".pth")]
    names = {target.stem for target in targets if target.suffix == ".pyc"}
    assert {"getopt", "socket", "tempfile"} <= names
    assert {"unittest", "ssl", "pydoc", "site", "test_initrd"} & names == set()
    assert not [target for target in targets if "libcrypto" in target.name]
    size = sum(len(entry.read()) for entry in entries if "python" not in entry.target.name and not native(entry))
    assert size < 6 << 20


def native(entry: Entry) -> bool:
    """Whether an entry is a library or a native module: their sizes are other projects'."""
    return ".so" in entry.target.name


def test_imports_within_functions_of_ours_are_followed() -> None:
    names = {module.name for module in load(["mdf.capture.cli"]).modules}
    assert {"mdf.capture.run", "mdf.core.version", "mdf.core.help", "socket"} <= names


def test_another_name_of_a_module_is_not_packed_twice() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    assert own_module("os.path", library / "posixpath.py") is None
    assert own_module("mmap", library / "lib-dynload/mmap.cpython-311-x86_64-linux-gnu.so")
    assert own_module("json", library / "json/__init__.py")


def test_a_module_that_an_interpreter_replaces_at_its_start_is_packed() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    assert own_module("collections.abc", library / "_collections_abc.py") == Module(
        "collections.abc", library / "collections/abc.py"
    )


def test_a_makedumpfile_that_would_be_found_first_is_replaced(tmp_path: Path) -> None:
    other = tmp_path / "usr/sbin/makedumpfile"
    other.parent.mkdir(parents=True)
    other.write_text("the original")
    (tmp_path / "sbin").symlink_to("usr/sbin")
    ours = Entry(PurePosixPath("usr/bin/makedumpfile"), link=f"../../{APPLICATION}")
    write_tree(tmp_path, [ours, Entry(APPLICATION, b"ours", executable=True)])
    assert other.read_bytes() == b"ours"


def test_a_makedumpfile_is_kept_where_both_folders_are_one(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/sbin").symlink_to("bin")
    ours = Entry(PurePosixPath("usr/bin/makedumpfile"), link=f"../../{APPLICATION}")
    write_tree(tmp_path, [ours, Entry(APPLICATION, b"ours", executable=True)])
    assert (tmp_path / "usr/sbin/makedumpfile").read_bytes() == b"ours"


def test_nothing_is_written_outside_of_the_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "usr").symlink_to(outside)
    with pytest.raises(OutputError, match="leads out of"):
        write_tree(root, [Entry(PurePosixPath("usr/file"), b"x")])
    assert not list(outside.iterdir())


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    ldd = tmp_path / "ldd"
    ldd.write_text("#!/bin/sh\necho '\tlibmissing.so.1 => not found'\n")
    ldd.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(MissingInfoError, match=r"needs the library libmissing\.so\.1"):
            needed([Path("/bin/program")])


def test_a_library_that_is_opened_while_running_goes_along_by_each_of_its_names(tmp_path: Path) -> None:
    library = tmp_path.resolve() / "libx.so.2.0"
    library.touch()
    for name in ("libx.so.2", "libx.so"):
        (library.parent / name).symlink_to(library.name)
    (library.parent / "liby.so").touch()
    assert [path.name for path in names([library])] == ["libx.so", "libx.so.2", "libx.so.2.0"]
    if find_library("lzo2"):
        assert any(entry.target.name == "liblzo2.so.2" for entry in payload.payload())


def test_the_list_names_size_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith(" /usr/bin/mdf-capture -> ../../usr/lib/makedumpfile/makedumpfile.pyz") for line in lines)
    assert all(line.split()[0].isdigit() for line in lines)


@pytest.mark.parametrize("arguments", [[], ["--list", "root"], ["/nothing/there"]])
def test_a_wrong_command_line_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "usr").write_text("a file")
    assert cli.main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "usr" in error


def test_a_module_whose_library_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdf.initrd.modules.LEFT_OUT", ("mdf.core.arch.x86_64", "deflate"))
    names = {module.name for module in load(["mdf.capture.cli"]).modules}
    assert "mdf.capture.rules" in names
    assert not {"mdf.core.arch.x86_64", "deflate"} & names


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path with mdf-initrd in front."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from mdf.initrd.cli import main; sys.exit(main())"
    program = tmp_path / "bin/mdf-initrd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("DESTDIR", f"{HOOKS}/initramfs-tools/makedumpfile"),
        ("initdir", f'source {HOOKS}/dracut/module-setup.sh && IN_KDUMP=1 check && install "$@"'),
    ],
)
def test_a_hook_fills_the_initrd(folder: str, command: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "initrd").mkdir()
    kdump_tools = {"CONFDIR": "/var/lib/kdump/initramfs-tools"}
    environment = os.environ | {"PATH": path, folder: str(tmp_path / "initrd")} | kdump_tools
    stubs = 'require_binaries() { type -P "$1" >/dev/null; }\n'
    result = subprocess.run(
        ["bash", "-c", stubs + command], env=environment, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "initrd/usr/bin/mdf-capture").exists()


def test_the_normal_initrd_stays_small(tmp_path: Path) -> None:
    hook = HOOKS / "initramfs-tools/makedumpfile"
    environment = {"PATH": "/usr/bin:/bin", "DESTDIR": str(tmp_path), "CONFDIR": "/etc/initramfs-tools"}
    assert subprocess.run([hook], env=environment, capture_output=True, check=True).stderr == b""
    assert not list(tmp_path.iterdir())
    asked = subprocess.run([hook], env=environment | {"MAKEDUMPFILE": "y"}, capture_output=True, check=False)
    assert asked.returncode == 127  # It wants to run mdf-initrd, which is not there.


def test_the_hook_of_initramfs_tools_has_no_prerequisites() -> None:
    hook = HOOKS / "initramfs-tools/makedumpfile"
    assert subprocess.run([hook, "prereqs"], env={}, capture_output=True, check=True).stdout == b""


def test_dracut_uses_the_module_for_capture_kernels_alone(path: str) -> None:
    script = f'require_binaries() {{ type -P "$1" >/dev/null; }}\nsource {HOOKS}/dracut/module-setup.sh; check'
    environment = {"PATH": path}
    assert subprocess.run(["bash", "-c", script], env=environment, check=False).returncode == 255
    assert subprocess.run(["bash", "-c", script], env=environment | {"IN_KDUMP": "1"}, check=False).returncode == 0
    assert subprocess.run(["bash", "-c", script], env={"PATH": "/usr/bin:/bin"}, check=False).returncode == 1
