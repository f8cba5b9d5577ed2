# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be said of fetching the judges without the network."""

from pathlib import Path

import pytest

from judges import fetch


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "judges"
    monkeypatch.setenv("MDF_JUDGES_CACHE", str(folder))
    return folder


def test_without_apt_every_judge_is_missing_and_the_reason_is_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(cache))
    assert fetch.main() == 1
    assert "apt-get is not installed" in capsys.readouterr().err
    assert list(cache.iterdir()) == []
    assert fetch.newest("crash") is None
    assert fetch.vmlinux(fetch.KERNELS[0].item) is None


def test_what_is_there_is_not_fetched_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("newest", fetch.GUEST_KERNEL, *(kernel.item for kernel in fetch.KERNELS)):
        (cache / name).mkdir(parents=True)
    monkeypatch.setenv("PATH", str(cache))
    assert fetch.main() == 0
    assert str(cache) in capsys.readouterr().out


@pytest.mark.parametrize(("build_id", "is_same"), [("ab" * 20, True), ("ac" * 20, False)])
def test_a_vmlinux_is_told_by_its_build_id(tmp_path: Path, build_id: str, is_same: bool) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(b"\x7fELF" + bytes(5000) + fetch.GNU_BUILD_ID + b"\xab" * 20)
    assert fetch.has_build_id(path, build_id) is is_same
