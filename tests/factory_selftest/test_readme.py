# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of the factory's README run as they are."""

import re
from pathlib import Path

import pytest

import factory


def test_the_examples_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = Path(factory.__file__).with_name("README.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for example in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(example, names)
    assert {path.name for path in tmp_path.iterdir()} == {"vmcore", "qemu", "many", "arm", "guest", "xen"}
    assert "Anon(" in capsys.readouterr().out
