"""Recordings: runs that are repeated exactly, from a file that keeps all that the script learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.library import ACCOUNTS, library, service
from support.random_scripts import SCRIPTS, jittery

from kosmolua import Outcome, Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins

TALE = """
local books = app.integrations.library
print(#books.list_books({ limit = 3 }).seen, os.time(), math.random())
local ok, err = pcall(books.lend, { book = "b-404" })
print(ok, err.code, err.status)
return books.lend({ book = "b-1" }), arg[1]
"""


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """A runtime with only the library, whose accounts may write."""
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: answering), environ={}) as runtime:
        yield runtime


@pytest.fixture
def bare() -> Iterator[Runtime]:
    """A runtime that has neither accounts nor integrations."""
    with Runtime({}, plugins=Plugins((), places=(), entry_points=dict), environ={}) as runtime:
        yield runtime


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a recording goes."""
    return tmp_path / "run.jsonl"


def answering(request: Any) -> Any:
    from kosmolua.testing import answer

    return answer(200, {"seen": [1, 2, 3]}) if request.method == "GET" else service(request)


def same(first: Outcome, second: Outcome) -> None:
    """Assert that two outcomes tell a script's user the same."""
    assert second.output == first.output
    assert second.result == first.result
    assert second.calls == first.calls
    assert (second.error and second.error.report()) == (first.error and first.error.report())
    assert second.status == first.status


@pytest.mark.slow
def test_random_scripts_are_repeated_exactly(tmp_path: Path) -> None:
    """200 scripts, whose calls end in another order each time, print, return, call and raise the same again."""
    count = 0
    plugins = Plugins([jittery()], places=(), entry_points=dict)
    with Runtime({"jittery": {"default": {}}}, plugins=plugins, yes=True, environ={}) as live, Runtime({}) as bare:

        @settings(max_examples=200, deadline=None, database=None, suppress_health_check=[*HealthCheck])
        @given(SCRIPTS)
        def check(source: str) -> None:
            nonlocal count
            count += 1
            file = tmp_path / f"{count}.jsonl"
            first = live.run(source, record=file)
            same(first, bare.replay(file))
            file.unlink()

        check()
    assert count >= 200
