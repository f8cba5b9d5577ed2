# SPDX-License-Identifier: GPL-2.0-or-later
"""Our makedumpfile and the original, for all judges: every dump is made once and removed at the end."""

import shutil
from collections.abc import Iterator

import pytest

from judges import programs
from judges.programs import Makedumpfile


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Makedumpfile]:
    """The makedumpfile that is judged."""
    folder = tmp_path_factory.mktemp("ours")
    yield Makedumpfile(programs.ours(), folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session", params=["installed", "newest"])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Makedumpfile]:
    """The original makedumpfile, in the machine's own and in the newest version."""
    folder = tmp_path_factory.mktemp("reference")
    yield Makedumpfile(programs.found("makedumpfile", request.param), folder)
    shutil.rmtree(folder)
