"""A second root under ``app``: one more provider in the catalog's list, and everything else follows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import pytest
from conftest import ROOT

from kosmolua import Limits
from kosmolua.authoring import stubs
from kosmolua.authoring.completion import Candidates
from kosmolua.broker.broker import Broker
from kosmolua.broker.host import Host
from kosmolua.broker.options import RunContext, RuntimeOptions
from kosmolua.catalog.catalog import Catalog
from kosmolua.catalog.plugins import Plugin
from kosmolua.clock import Clock
from kosmolua.errors import UnknownPath
from kosmolua.plugin import Integration
from kosmolua.processes.pool import WorkerPool
from kosmolua.runs.job import Ending, Job
from kosmolua.runs.session import Names
from kosmolua.runs.supervisor import Supervisor

PACKAGE = ROOT / "kosmolua"


@dataclass(frozen=True)
class Account:
    """Nothing to configure."""

    def open(self, send: Any) -> Any:
        return send


class Note(TypedDict):
    """A note."""

    text: str


def files() -> Integration:
    """Return an integration that another root offers."""
    integration = Integration("files", Account, about="Files of a server.", root="tools")

    @integration.reads
    def read_note(_: Any, /, *, name: str) -> Note:
        """Read a note."""
        return {"text": f"the text of {name}"}

    @integration.writes
    def remove_note(_: Any, /, *, name: str) -> None:
        """Remove a note."""

    return integration


class Tools:
    """The provider of one integration, under the root ``tools``."""

    root = "tools"

    def names(self) -> list[str]:
        return ["files"]

    def load(self, name: str) -> Plugin:
        if name != "files":
            raise UnknownPath(f"app.tools has no '{name}'")
        integration = files()
        return Plugin(integration, integration.origin, "given", lambda: None)

    def listed(self, name: str) -> Plugin:
        return self.load(name)

    def prose(self, name: str) -> str | None:
        return None

    def sources(self, name: str) -> list[str]:
        return []


@pytest.fixture
def host() -> Host:
    """Return a host with two accounts of the second root's integration, one of which may not write."""
    accounts = {"tools.files": {"a": {}, "b": {"permissions": {"write": "deny"}}, "default": "a"}}
    host = Host(RuntimeOptions(accounts, environ={}, warn=lambda _: None))
    host.catalog = Catalog([host.plugins, Tools()], host.accounts)
    return host


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(1)
    yield pool
    pool.close()


def run(host: Host, pool: WorkerPool, source: str) -> tuple[Ending, list[dict[str, Any]]]:
    """Run a script, and return how it ended and a summary of each call."""
    limits = Limits()
    context = RunContext(Clock(limits.timeout), limits)
    broker = Broker(host, context)
    with pool.take() as lease:
        ending = Supervisor(lease.child, context, lambda: broker, lambda _: None).run(Job(source.encode(), "=roots"))
    return ending, broker.close(ending.error)


def test_lua_calls_functions_under_a_second_root(host: Host, pool: WorkerPool) -> None:
    """By the default account and by name, and the record of a call has the path with the root."""
    source = "local f = app.tools.files return { f.read_note({ name = 'x' }).text, f.b.files_read_note('y').text }"
    ending, calls = run(host, pool, source)
    assert ending.error is None
    assert ending.result == [["the text of x", "the text of y"]]
    assert [(call["path"], call["account"]) for call in calls] == [
        ("tools.files.read_note", "a"),
        ("tools.files.read_note", "b"),
    ]


def test_permissions_hold_under_a_second_root(host: Host, pool: WorkerPool) -> None:
    """An account that may not write is refused, in the same words as anywhere."""
    ending, _ = run(host, pool, "return app.tools.files.b.remove_note({ name = 'x' })")
    assert ending.error is not None
    assert ending.error.code == "denied"
    assert "tools.files" in ending.error.message


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("app.tool", "app has no 'tool' (did you mean"),
        ("app.tools.file", "app.tools has no 'file'"),
        ("app.tools.files.read_not()", "app.tools.files has no 'read_not' (did you mean"),
        ("app.files", "app has no 'files'"),
    ],
)
def test_wrong_paths_are_refused_with_the_root(host: Host, pool: WorkerPool, path: str, expected: str) -> None:
    """What does not exist is named by its whole path."""
    ending, _ = run(host, pool, f"return {path}")
    assert ending.error is not None
    assert expected in ending.error.message


def test_app_lists_both_roots(host: Host, pool: WorkerPool) -> None:
    """`pairs` finds the roots and what is in them."""
    source = "local t = {} for name in pairs(app) do t[#t + 1] = name end table.sort(t) return t"
    assert run(host, pool, source)[0].result == [["integrations", "tools"]]


@pytest.mark.slow
def test_the_docs_cover_a_second_root(host: Host, pool: WorkerPool) -> None:
    """A root is a namespace, an integration and a function are pages, and a search finds them."""
    assert "tools.files`" in host.docs.list("tools")
    assert "integrations." not in host.docs.list("tools")
    assert "`app.tools.files` has" in host.docs.read("tools.files")
    assert "app.tools.files.read_note" in host.docs.read("app.tools.files.read_note")
    assert [hit.page for hit in host.docs.find("remove note")][:1] == ["tools.files.remove_note"]
    ending, _ = run(host, pool, "return lua_read_doc('tools.files.read_note')")
    assert ending.error is None
    assert "read_note" in json.dumps(ending.result)


@pytest.mark.slow
@pytest.mark.slow
def test_stubs_and_completion_cover_a_second_root(host: Host, tmp_path: Path) -> None:
    """Editors and the REPL offer its integrations, functions and accounts."""
    stubs.write_stubs(host.catalog, tmp_path)
    folder = tmp_path / stubs.FOLDER
    definitions = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.lua")}
    assert "---@field tools app.tools" in definitions["tools.lua"]
    assert "function account.read_note(" in definitions["tools/files.lua"]
    assert "field files" not in definitions["integrations.lua"]
    candidates = Candidates(host.catalog, lambda path: Names({}, None), {}, lambda typed: ())
    assert [each.text for each in candidates.of("app.")] == ["integrations", "tools"]
    assert [each.text for each in candidates.of("app.tools.")] == ["files"]
    assert [each.text for each in candidates.of("app.tools.files.")] == [
        "a",
        "b",
        "default",
        "read_note",
        "remove_note",
    ]
    assert "files" not in [each.text for each in candidates.of("app.integrations.")]


def test_the_accounts_example_names_the_root(host: Host) -> None:
    """An integration without an account is refused with a section that the accounts file takes."""
    from kosmolua.accounts.toml import stanza

    assert stanza(host.catalog.integration("tools.files")).startswith('["tools.files".default]')


@pytest.mark.slow
def test_no_other_module_asks_for_the_root_of_scripts() -> None:
    """What is special about it, that it is one integration without accounts, is data of roots."""
    naming = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bSCRIPTS\b", path.read_text(encoding="utf-8"))
    }

    assert naming == {"schema/names.py", "catalog/scripts.py", "broker/patterns.py"}
