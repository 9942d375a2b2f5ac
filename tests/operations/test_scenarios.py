"""A round of each scenario that takes seconds."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from random import Random

import pytest

from operations import databases, waiting
from operations.scenarios import Skipped

HERE = Path(__file__).parent


def test_the_table_names_what_there_is() -> None:
    """Each test that it names exists, and it names each scenario."""
    table = (HERE / "README.md").read_text().partition("## What has to hold")[2]
    named = re.findall(r"`(\w+\.py)::(\w+)`", table)
    assert named
    lacking = [name for file, name in named if f"def {name}(" not in (HERE.parent / file).read_text()]
    assert lacking == []
    scenarios = {file.stem for file in HERE.glob("*.py") if "\ndef play(folder: Path, rounds: int" in file.read_text()}
    assert scenarios <= {*re.findall(r"`(\w+)[` ]", table)}
    assert all(f'"{name}": ' in (HERE / "__main__.py").read_text() for name in scenarios)


@pytest.mark.slow
def test_some_calls_wait_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are listed after each start, and approved."""
    monkeypatch.setattr(waiting, "CALLS", 64)
    monkeypatch.setattr(waiting, "SOON", 60.0)
    rows = list(waiting.play(tmp_path, 1, Random()))
    assert [row.case for row in rows] == ["started", "restarted"]
    assert [row for row in rows if not row.is_right] == []


@pytest.mark.slow
def test_a_database_that_is_away_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes and programs are told at once, with a very wide margin here, and the server comes back by itself."""
    monkeypatch.setattr(databases, "AWAY", (2,))
    monkeypatch.setattr(databases, "SOON", 30.0)
    try:
        rows = list(databases.play(tmp_path, 1, Random()))
    except Skipped as why:
        pytest.skip(str(why))
    assert [row.case for row in rows] == ["not ready", "a run", "away for 2 s"]
    assert [row for row in rows if not row.is_right] == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the scenarios kill processes and mount disks as on Linux")
@pytest.mark.parametrize("name", ["crashes", "resumes", "damage", "full_disk", "clock"])
def test_a_round_is_as_it_should_be(name: str, tmp_path: Path) -> None:
    """No write is made twice without a question, and none is lost."""
    try:
        rows = list(importlib.import_module(f"operations.{name}").play(tmp_path, 1, Random()))
    except Skipped as why:
        pytest.skip(str(why))
    assert rows
    assert [row for row in rows if not row.is_right] == []
