"""The layer through which commands write for a person: lines, tables, marks, colours, durations and ages."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from support.screen import Run, on_screen, plain

from kosmolua.cli import terminal

__all__ = ["on_screen"]
NOW = 1_770_000_000.0
ROWS = [["srv-1", "checkout-api", "12", "failed"], ["srv-22", "a name of several words", "3", "ok"]]
COLUMNS = ["id", "name", "calls", "status"]


def lines_of(columns: int, spare: tuple[str, ...] = (), *, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines of a table on a terminal of so many columns."""
    monkeypatch.setattr(terminal, "width", lambda stream=None: columns)
    return terminal.tabulated("Rows", COLUMNS, ROWS, spare)


@pytest.mark.parametrize("given", ["", "0", "²", "-5", "wide", "9" * 5000, "100000000"])
def test_a_width_that_is_none_is_the_usual_one(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """As in a pipe that does not say how wide its reader is."""
    monkeypatch.setenv("COLUMNS", given)
    monkeypatch.setattr(terminal.standard, "output", -1)
    assert terminal.width() == terminal.DEFAULT_WIDTH


def test_numbers_stand_at_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the end of their column's name; what is no number stands at the left."""
    assert lines_of(80, monkeypatch=monkeypatch) == [
        "Rows",
        "id      name                     calls  status",
        "srv-1   checkout-api                12  failed",
        "srv-22  a name of several words      3  ok",
    ]


def test_a_narrow_table_breaks_cells_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between words, as long as each word fits; a short cell, such as an age, stays whole."""
    lines = lines_of(40, ("calls",), monkeypatch=monkeypatch)
    assert lines[1].split() == COLUMNS
    assert [line.split()[-1] for line in lines[3:]] == ["ok", "words"]
    rows = [["18 min ago", "restarts_the_services_of_render"]]
    assert terminal.tabulated("Runs", ["time", "title"], rows, ["time"])[2] == "restarts_the_services_of_render"


def test_a_narrower_table_leaves_out_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the command can spare, one after the other; only then each row is a list."""
    assert lines_of(33, ("calls", "status"), monkeypatch=monkeypatch)[1].split() == ["id", "name", "status"]
    assert lines_of(20, ("calls", "status"), monkeypatch=monkeypatch)[1].split() == ["id", "name"]
    listed = lines_of(14, ("calls", "status"), monkeypatch=monkeypatch)
    assert "status  failed" in listed
    assert "calls   12" in listed


def test_wide_letters_take_two_columns() -> None:
    """Of a line and of a table alike; combining marks take none, and neither do colours."""
    assert terminal.measured("検査") == 4
    assert terminal.measured("e\u0301") == 1
    assert terminal.measured("\x1b[31mred\x1b[0m") == 3
    assert terminal.on_one_line("検査する", 5) == "検査"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "  three"]),
        ("  one two three", ["  one two", "    three"]),
        ("incomprehensibilities are long", ["incomprehensibilities", "  are long"]),
        (f"a =b{terminal.JOINT}c d", ["a =b c d"]),
        (f"one two{terminal.JOINT}three", ["one", "  two three"]),
        ("", [""]),
    ],
)
def test_lines_are_broken_between_words(text: str, lines: list[str]) -> None:
    """They go on behind an indent, and a word that is longer than a line stays whole."""
    assert terminal.broken(text, 11, "  ") == lines


def test_marks_are_ascii_where_the_encoding_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick, and a plus sign in its place."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert [terminal.mark("ok"), terminal.mark("failed"), terminal.mark("other")] == ["✓", "✗", "!"]
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert [terminal.mark("ok"), terminal.mark("failed"), terminal.bar(1, 2, 4)] == ["+", "x", "##.."]


@pytest.mark.parametrize(
    ("milliseconds", "said"), [(0.42, "0.4 ms"), (12.4, "12 ms"), (3100, "3.1 s"), (125_000, "2 min 5 s")]
)
def test_durations_are_as_exact_as_they_are_long(milliseconds: float, said: str) -> None:
    """A call of less than a millisecond does not take 0 ms."""
    assert terminal.spelled(milliseconds) == said


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2026-02-02T02:39:50Z", "10 s ago"),
        ("2026-02-02T02:36:00+00:00", "4 min ago"),
        ("2026-02-01T02:40:00Z", "1 d ago"),
        ("2025-12-24T12:00:00Z", "2025-12-24"),
        ("yesterday", "yesterday"),
        (None, ""),
    ],
)
def test_ages_are_rough(time: str | None, said: str) -> None:
    """What was over a week ago has its day, and what is no time stays as it is."""
    assert terminal.age(time, NOW) == said


@pytest.mark.parametrize("light", ["", "0;15"])
def test_pages_have_no_background(on_screen: Run, config: Path, light: str) -> None:
    """Code in a page is readable on a dark and on a light terminal."""
    page = on_screen("docs", "errors", COLORFGBG=light)
    assert "pcall" in plain(page)
    assert not [code for code in page.split("\x1b[")[1:] if {"40", "47", "48"} & {*code.split("m")[0].split(";")}]


def test_a_pipe_gets_a_text_as_it_is() -> None:
    """Nothing is broken or coloured for a program."""
    stream = io.StringIO()
    assert terminal.fitted("word " * 100, stream) == "word " * 100
    assert terminal.styled("word", "failed", stream) == "word"


@pytest.mark.slow
def test_a_fleet_shows_how_far_it_is(on_screen: Run, config: Path, folder: Path) -> None:
    """A bar, how many runs are done, the time that is left, and what failed; it is gone in the end."""
    (folder / "slow.lua").write_text("sleep(0.1)")
    (folder / "inputs.jsonl").write_text("1\n" * 8)
    shown = on_screen("fleet", "slow.lua", "--inputs", "inputs.jsonl", "--out", "out.jsonl", "--jobs", "2", columns=100)
    first, *_, last = shown.split("\r\x1b[K")[1:]
    assert re.match(r"█+\.+ [1-7]/8  [\d.]+ s left  \d+/s  0 failed  slowest \d+ ms \(\d\)", first)
    assert plain(last).startswith("kosmolua: 8 done, 0 failed in ")


@pytest.mark.slow
def test_the_repl_uses_the_colours_of_the_terminal() -> None:
    """Which it shows well on its own background, whatever that is."""
    colours = pytest.importorskip("kosmolua.cli.repl.prompt").COLOURS.values()
    assert {colour.partition(" ")[0].removeprefix("ansi") for colour in colours} <= {
        "bold",
        "green",
        "cyan",
        "brightblack",
    }
    assert "#" not in "".join(colours)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
