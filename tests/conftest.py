"""What tests of the whole program share: a runtime over simulators, accounts files, plugins, and the program itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kosmolua import Runtime
from kosmolua.places import config_folder

ROOT = Path(__file__).parent.parent
MOST_SECONDS = 60

Program = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that starts the tests in the background has them ignore Ctrl-C, and the programs they start would too."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file below a fresh folder and returns its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def simulated() -> Iterator[Runtime]:
    """A runtime over simulators, which allows writes and sees neither accounts nor variables of the user."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        yield runtime


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """The variables of a user who has an empty home and no credentials."""
    config = home / ".config"
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(config),
        "APPDATA": str(config),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def config(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of that user in which the program looks for accounts.toml and integrations."""
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.setenv(name, environment[name])
    folder = Path(config_folder())
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def kosmolua(environment: dict[str, str], home: Path) -> Program:
    """Return a function that runs the program as ``kosmolua ARGUMENTS`` in an empty home."""

    def run(*arguments: str, variables: dict[str, str] | None = None, **options: Any) -> Any:
        command = [sys.executable, "-m", "kosmolua", *map(str, arguments)]
        given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": home}
        given |= {"timeout": MOST_SECONDS, "env": {**environment, **(variables or {})}, "encoding": "utf-8"}
        if "input" not in options:
            given["stdin"] = subprocess.DEVNULL
        return subprocess.run(command, **{**given, **options})

    return run
