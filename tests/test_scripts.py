"""The example scripts: each runs against the simulators, and says what it does."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, Program

SCRIPTS = sorted((ROOT / "scripts").glob("*.lua"))


def test_there_are_some() -> None:
    """At least five are worth reading."""
    assert len(SCRIPTS) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs(kosmolua: Program, script: Path) -> None:
    """It ends well, prints something, calls something, and begins with a line on what it does."""
    done = kosmolua("run", script, "--simulate", "--yes", "--trace")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1
    assert "calls: 0 ok" not in done.stderr
    assert script.read_text(encoding="utf-8").startswith("-- ")


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_prints_the_same_each_time(kosmolua: Program, script: Path) -> None:
    """Simulators start with the same data, so an example's output can be shown and relied on."""
    first, second = (kosmolua("run", script, "--simulate", "--yes").stdout for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_a_new_script_runs_and_says_what_it_takes(kosmolua: Program, home: Path) -> None:
    """With the settings of the formatter beside it; and it replaces nothing."""
    done = kosmolua("scripts", "new", "my_report")
    assert "Next: kosmolua run my_report.lua --simulate" in done.stdout
    assert len(kosmolua("run", "my_report.lua", "--limit", "2", "--simulate").stdout.splitlines()) == 2
    assert "indent_width = 2" in (home / ".stylua.toml").read_text()
    again = kosmolua("scripts", "new", "my_report")
    assert again.returncode == 2
    assert "my_report.lua exists already, and is not replaced" in again.stderr


def test_the_name_of_a_new_script_is_one_that_scripts_can_call(kosmolua: Program) -> None:
    """Anything else is refused, and no file is written."""
    done = kosmolua("scripts", "new", "../My Report")
    assert done.returncode == 2
    assert "cannot be the name of a script" in done.stderr
