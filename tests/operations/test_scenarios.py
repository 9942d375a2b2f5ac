"""A round of each scenario that takes seconds."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from random import Random

import pytest

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
@pytest.mark.skipif(sys.platform != "linux", reason="the scenarios kill processes and mount disks as on Linux")
@pytest.mark.parametrize("name", ["crashes", "resumes", "damage", "full_disk"])
def test_a_round_is_as_it_should_be(name: str, tmp_path: Path) -> None:
    """No write is made twice without a question, and none is lost."""
    try:
        rows = list(importlib.import_module(f"operations.{name}").play(tmp_path, 1, Random()))
    except Skipped as why:
        pytest.skip(str(why))
    assert rows
    assert [row for row in rows if not row.is_right] == []
