"""Tests of the environment, written in Lua: each file asserts, or says after ``-->`` what the lines above it print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from library import ACCOUNTS, library, service

from kosmolua import Runtime
from kosmolua.backends.canned import Canned
from kosmolua.plugins import Plugins

FILES = sorted((Path(__file__).parent / "lua").glob("*.lua"))
MARK = "-->"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime with only the library."""
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: service), environ={}) as runtime:
        yield runtime


def expected(source: str) -> str:
    """Return what a file says that it prints."""
    lines = [line.removeprefix(MARK).removeprefix(" ") for line in source.splitlines() if line.startswith(MARK)]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_lua(runtime: Runtime, file: Path) -> None:
    """The file runs to its end and prints what it says."""
    source = file.read_text(encoding="utf-8")
    outcome = runtime.run(source, name=file.name)
    assert outcome.output == expected(source)
    assert outcome.ok, outcome.error


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "require('json')",
            "script.lua:1: attempt to call a nil value (global 'require'): "
            "there are no modules to load; json, regex and parallel are there already",
        ),
        (
            "library.list_books()",
            "script.lua:1: attempt to index a nil value (global 'library'): "
            "if an integration was meant, it is under app.integrations",
        ),
        ("error(\"not there (global 'require')\", 0)", "not there (global 'require')"),
    ],
)
def test_an_error_about_what_is_absent_says_what_to_do(runtime: Runtime, source: str, message: str) -> None:
    """A script that reaches for what the sandbox has not ends with Lua's own message and a way out."""
    error = runtime.run(source).error
    assert error and error.message == message
