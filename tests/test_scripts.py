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
