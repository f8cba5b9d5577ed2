# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages go where their class belongs, and the progress line has the form that consoles know."""

from __future__ import annotations

import io
import time

import pytest

from mdf.core.errors import FormatError
from mdf.core.messages import Level, Messages, eta_text


def said(level: int, *, to_stderr: bool = False) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    messages = Messages(level, to_stderr=to_stderr, stdout=out, stderr=err)
    messages.common("common")
    messages.debug("debug")
    messages.report("report")
    messages.progress("progress")
    messages.failure(FormatError("error", hint="hint"))
    return out.getvalue(), err.getvalue()


def test_each_class_goes_to_its_stream() -> None:
    assert said(31) == ("common\ndebug\nreport\n", "progress\nerror\nhint\n")


def test_all_goes_to_standard_error_when_standard_output_is_the_dump() -> None:
    assert said(31, to_stderr=True) == ("", "common\ndebug\nreport\nprogress\nerror\nhint\n")


@pytest.mark.parametrize(
    ("level", "word"), [(1, "progress"), (2, "common"), (4, "error"), (8, "debug"), (16, "report")]
)
def test_each_bit_of_the_level_is_a_class(level: int, word: str) -> None:
    assert "".join(said(level)).split()[0] == word
    assert word not in "".join(said(31 & ~level)).split()


def test_the_progress_line_has_fifty_columns_a_decimal_and_the_spinner() -> None:
    err = io.StringIO()
    with Messages(1, stderr=err).step("Copying data", eta=True) as progress:
        progress.update(1, 2)
    line = err.getvalue()
    assert line == "\r" + "Copying data".ljust(50) + ": [100.0 %] /  " + "eta: 0s".rjust(16)


def test_a_step_reports_its_time_and_a_failed_one_is_not_done() -> None:
    out, err = io.StringIO(), io.StringIO()
    messages = Messages(Level.PROGRESS | Level.REPORT, stdout=out, stderr=err)
    with messages.step("Excluding free pages"):
        pass
    assert out.getvalue().startswith("STEP [Excluding free pages       ] : 0.00")
    with pytest.raises(FormatError), messages.step("Copying data"):
        raise FormatError("no")
    assert err.getvalue().count("100.0") == 1


@pytest.mark.parametrize(
    ("elapsed", "permille", "text"),
    [
        (10, 0, " "),
        (10, 500, "eta: 10s"),
        (100, 100, "eta: 15m0s"),
        (3600, 100, "eta: 9h0m"),
        (36000, 100, "eta: 3d18h"),
        (3600000, 100, "eta: >100day"),
    ],
)
def test_the_remaining_time_has_the_two_largest_units(elapsed: float, permille: int, text: str) -> None:
    assert eta_text(elapsed, permille) == text


def test_a_console_that_went_away_does_not_cost_the_dump() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("gone")

    messages = Messages(31, stdout=Gone(), stderr=Gone())
    messages.common("text")
    messages.error("text")


def test_a_progress_line_comes_once_a_second_with_the_next_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    err = io.StringIO()
    with Messages(Level.PROGRESS, stderr=err).step("Checking for memory holes") as progress:
        for tenth in range(60):
            now = 100 + tenth / 10
            progress.update(tenth, 59)
    lines = err.getvalue().split("\r")[1:]
    assert [line[50:] for line in lines] == [
        f": [{percent} %] {spinner}  {' ' * 16}"
        for percent, spinner in zip((" 16.9", " 33.8", " 50.8", " 67.7", " 84.7", "100.0"), "/|\\-/|", strict=True)
    ]
    assert {line[:50] for line in lines} == {"Checking for memory holes".ljust(50)}


def test_the_hundred_percent_line_comes_once() -> None:
    err = io.StringIO()
    with Messages(Level.PROGRESS, stderr=err).step("Copying data") as progress:
        progress.update(0, 0)
        progress.done()
        progress.done()
    assert err.getvalue().count("\r") == 1


def test_what_a_terminal_obeys_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    Messages().error("SIZE(page)=\x1b[2J\x9b\x7f\tand\nmore")
    assert capsys.readouterr().err == "SIZE(page)=\\x1b[2J\\x9b\\x7f\tand\nmore\n"


def test_a_name_that_is_no_text_is_still_said() -> None:
    raw = io.BytesIO()
    messages = Messages(stdout=io.TextIOWrapper(raw, "utf-8"))
    messages.common("saved to \udcff.")
    messages.common("Completed.")
    assert raw.getvalue() == b"saved to \\udcff.\nCompleted.\n"


def test_an_answer_is_said_at_any_level(capsys: pytest.CaptureFixture[str]) -> None:
    Messages(0).answer("sound")
    assert capsys.readouterr().out == "sound\n"
