"""Session variables: what is local at the top level of a chunk is there for the next chunk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kosmolua import Runtime
from kosmolua.lua.session import with_session_variables
from kosmolua.runs.session import Session


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(simulate=True, environ={}) as runtime:
        yield runtime


@pytest.fixture
def session(runtime: Runtime) -> Iterator[Session]:
    with Session(runtime.run) as session:
        yield session


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        (["local x = 1", "x"], "1"),
        (["local x, y = 1", "x, y"], "1\tnil"),
        (["x = 5", "local x", "x"], "nil"),
        (["local x <const> = 2", "x = x + 1", "x"], "3"),
        (["local function double(n) return n * 2 end", "double(21)"], "42"),
        (["local function f(n) return n == 0 and 'end' or f(n - 1) end", "f(3)"], "end"),
        (["local x = 1; do local x = 2 end", "x"], "1"),
        (["local x = 1 if true then local y = 2 end", "y"], "nil"),
        (["local s = 'ä'  local t = s .. '!'", "t"], "ä!"),
        (["local print = print", "print ~= nil"], "true"),
        (["local page = app.integrations.render2.list_services({ limit = 2 })", "#page.services"], "2"),
    ],
)
def test_locals_of_the_top_level_are_kept(session: Session, chunks: list[str], shown: str) -> None:
    """As the examples of the documentation are typed, line by line; a local inside a block stays there."""
    answers = [session.evaluate(chunk) for chunk in chunks]

    assert all(answer.outcome.error is None for answer in answers)
    assert answers[-1].text == shown


def test_a_variable_with_close_is_closed_when_its_chunk_ends(session: Session) -> None:
    """It stays a local, as it could not be closed later."""
    closing = "local guard <close> = setmetatable({}, { __close = function() closed = true end })"

    assert session.evaluate(closing).outcome.error is None
    assert session.evaluate("closed, guard").text == "true\tnil"


def test_an_error_names_the_line_and_the_state_before_it_is_kept(session: Session) -> None:
    """Lines are those that were typed; what was declared earlier is still there."""
    session.evaluate("local kept = 1")
    failed = session.evaluate("local a = 1\nlocal b <const> = 2\nlocal c = a .. nil")

    assert failed.outcome.error is not None
    assert failed.outcome.error.line == 3
    assert session.evaluate("kept").text == "1"


@pytest.mark.slow
def test_a_stopped_chunk_rolls_its_variables_back(session: Session) -> None:
    """A limit ends the chunk in the middle, and the state is the one from before it."""
    session.evaluate("local x = 1")
    stopped = session.evaluate("local x = 2 while true do end", cpu=1)

    assert stopped.state == "restored"
    assert session.evaluate("x").text == "1"


def test_a_file_is_read_as_it_is(session: Session) -> None:
    """Its locals are its own."""
    session.evaluate("local hidden = 1", name="file.lua")

    assert session.evaluate("hidden").text == "nil"


@pytest.mark.parametrize(
    ("chunk", "rewritten"),
    [
        ("local x = 1", "      x = 1"),
        ("-- local\nprint('local x = 1')", "-- local\nprint('local x = 1')"),
        ("local _ENV = { print = print }", "local _ENV = { print = print }"),
        ("local x = = 1", "local x = = 1"),
        ("local a <const>, b <const> = 1, 2", "      a        , b         = 1, 2"),
        ("return function() local x end", "return function() local x end"),
        ("for i = 1, 2 do local x = i end local y", "for i = 1, 2 do local x = i end       y = nil"),
    ],
)
def test_nothing_else_of_a_chunk_changes(chunk: str, rewritten: str) -> None:
    """Comments, strings, blocks and what is not Lua stay as they are, and so does every place in a line."""
    assert with_session_variables(chunk) == rewritten
