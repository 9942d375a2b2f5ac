"""The README: its first command, its picture and the tests it leads to. (Its blocks are held by test_docs_guides.)"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_moving_picture_is_what_the_program_prints_now() -> None:
    """docs/picture.py draws the same; it asks no server for anything, and stands still for who wants no motion."""
    picture = (ROOT / "docs" / "terminal.svg").read_text(encoding="utf-8")
    assert runpy.run_path(str(ROOT / "docs" / "picture.py"))["draw"]() == picture
    assert len(picture) < 200_000
    assert "@keyframes" in picture
    assert "prefers-reduced-motion" in picture
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    shown = "".join("".join(ElementTree.fromstring(picture).itertext()).split())
    tour = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    lines = [line for block in blocks("console", tour) for line in block.splitlines()]
    assert len(lines) > 5
    assert [line for line in lines if "".join(line.split()) not in shown] == []


@pytest.mark.slow
def test_the_command_that_installs_runs_a_script_that_is_there(kosmolua: Callable[..., Any]) -> None:
    """What the first command does after it installed the program works: no key, no network."""
    command = next(block for block in blocks("sh") if "pip install -q ." in block)
    arguments = shlex.split(command.partition(".venv/bin/kosmolua ")[2])
    done = kosmolua(*arguments, cwd=Path(__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    assert "services" in done.stdout


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_the_tests_that_a_page_names_are_there(page: str) -> None:
    """A claim, or a limit, is held by the test beside it."""
    root = Path(__file__).parent.parent
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (root / page).read_text(encoding="utf-8"))
    assert named
    for file, test in named:
        assert f"def {test}" in (root / file).read_text(encoding="utf-8"), (file, test)
