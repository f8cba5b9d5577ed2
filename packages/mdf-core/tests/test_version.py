# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from mdf.core import version


def test_a_codec_is_enabled_if_one_of_its_modules_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "CODECS", (("here", ("no.such", "json.decoder")), ("gone", ("no_such", "json.no"))))
    assert version.version_text("x").split("\n")[1:] == ["here\tenabled", "gone\tdisabled", ""]
