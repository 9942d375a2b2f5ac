"""The README: its commands, scripts, outputs and files are true. (Its table of options is held by test_screens.)"""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kosmolua import Runtime
from kosmolua.accounts import accounts
from kosmolua.catalog.plugins import Plugins
from kosmolua.secret import Redactor

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def file_of(code: str) -> str | None:
    """Return the file that a block's first line says it is."""
    found = re.search(r"\b(\w+\.(?:lua|py))\b", code.partition("\n")[0])
    return found[1] if found else None


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder with the files of the README."""
    for code in [*blocks("lua"), *blocks("python")]:
        name = file_of(code)
        if name:
            (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.partition("\n")[0][:40])
def test_a_console_shows_what_happens(kosmolua: Callable[..., Any], workshop: Path, block: str) -> None:
    """Each command prints what stands below it."""
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert commands
    for command, shown in commands:
        program, *arguments = shlex.split(command)
        assert program == "kosmolua"
        done = kosmolua(*arguments, cwd=workshop)
        assert done.stdout + done.stderr == shown


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
    lines = [line for block in blocks("console") for line in block.splitlines()]
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


@pytest.mark.slow
def test_the_other_commands_work(kosmolua: Callable[..., Any]) -> None:
    """Every line of a shell block that starts with the program ends well."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("kosmolua ")]
    assert len(lines) >= 4
    for line in lines:
        done = kosmolua(*shlex.split(line, comments=True)[1:])
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_accounts_file_is_one(tmp_path: Path, block: str) -> None:
    """The stanza of the README is an accounts file without a mistake."""
    file = tmp_path / "accounts.toml"
    file.write_text(block, encoding="utf-8")
    found = accounts.read(file, usual=file, environ={}, redactor=Redactor())
    integration = Plugins().load("render2").integration
    found.check(integration)
    assert found.names(integration) == ["production", "staging"]
    assert found.default(integration) == "production"


def test_the_integration_of_the_readme_fits_in_twelve_lines_and_loads(workshop: Path) -> None:
    """As its heading promises, imports and its own docstring aside."""
    path = workshop / "weather.py"
    code = [line for line in path.read_text().splitlines()[1:] if line.strip()]
    assert len([line for line in code if not line.startswith(("from ", "import "))]) <= 12
    with Runtime(plugins=[path], environ={}) as runtime:
        assert runtime.run("return type(app.integrations.weather.get_station)").result == ["function"]


@pytest.mark.slow
def test_the_check_finds_nothing_to_mend_in_it(kosmolua: Callable[..., Any], workshop: Path) -> None:
    """What is short for want of space is noted, and no fault."""
    done = kosmolua("integrations", "check", "weather.py", cwd=workshop)
    assert done.returncode == 0, done.stdout


def test_the_python_of_the_readme_runs() -> None:
    """The lines that embed the runtime hold what they assert."""
    exec(next(code for code in blocks("python") if "Runtime(" in code), {})


def test_the_configuration_of_an_agent_is_json() -> None:
    """What is to be pasted into a client's configuration starts the MCP server."""
    (server,) = json.loads(blocks("json")[0])["mcpServers"].values()
    assert server["command"] == "kosmolua"
    assert server["args"][0] == "mcp"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md"])
def test_the_tests_that_a_page_names_are_there(page: str) -> None:
    """A claim, or a limit, is held by the test beside it."""
    root = Path(__file__).parent.parent
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (root / page).read_text(encoding="utf-8"))
    assert named
    for file, test in named:
        assert f"def {test}" in (root / file).read_text(encoding="utf-8"), (file, test)
