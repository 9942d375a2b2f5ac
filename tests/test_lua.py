"""Tests of the environment, written in Lua: each file asserts, or says after ``-->`` what the lines above it print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.library import ACCOUNTS, KEY, library, service

from kosmolua import Runtime
from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins

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


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_lua(runtime: Runtime, file: Path) -> None:
    """The file runs to its end and prints what it says."""
    source = file.read_text(encoding="utf-8")
    outcome = runtime.run(source, name=file.name)
    assert outcome.output == expected(source)
    assert outcome.ok, outcome.error


@contextmanager
def accounts(*names: str, default: str | None = None) -> Iterator[Runtime]:
    """Yield a runtime in which the library has these accounts."""
    section: dict[str, Any] = {name: {"api_key": KEY} for name in names}
    given = {"library": section | ({"default": default} if default else {})}
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(given, plugins=plugins, backend=Canned(lambda _: service), environ={}) as runtime:
        yield runtime


LISTING = """
local found = {}
for name, value in pairs(app.integrations.library) do
  if type(value) == "table" then found[#found + 1] = name end
end
table.sort(found)
return found
"""


def test_the_accounts_that_pairs_lists_can_all_be_used() -> None:
    """With several accounts and none that is the default there is no `default`, so a loop over them works."""
    with accounts("home", "work") as runtime:
        assert runtime.run(LISTING).result == [["home", "work"]]
        each = "for name, account in pairs(app.integrations.library) do if type(account) == 'table' then "
        assert runtime.run(f"{each} account.list_books() end end return 1").result == [1]
        error = runtime.run("return app.integrations.library.default.list_books()").error
        assert error
        assert error.code == "not_configured"
    with accounts("home", "work", default="work") as runtime:
        assert runtime.run(LISTING).result == [["default", "home", "work"]]


@pytest.mark.slow
def test_many_accounts_are_described_on_demand() -> None:
    """A description names a hundred; each other one is found by its name, and pairs lists all."""
    names = [f"user{number:04}" for number in range(1000)]
    with accounts(*names) as runtime:
        assert runtime.run("return app.integrations.library.user0999.list_books().ok").result == [True]
        assert runtime.run("return app.integrations.library.user0999 == app.integrations.library.user0999").ok
        assert runtime.run(LISTING).result == [names]
        for key in ("user1000", "*", "user0999.list_books"):
            error = runtime.run(f"return app.integrations.library['{key}']").error
            assert error, key
            assert "library" in error.message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "require('json')",
            "script.lua:1: attempt to call a nil value (global 'require'): "
            "there are no modules to load; json, regex, csv, base64, hash, url and time are already available",
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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print(1)\n```\n", "2: unexpected symbol near '`': remove the lines with ```"),
        ("\nif a != b then end", "2: 'then' expected near '!': Lua writes ~= for !="),
        ("if a === b then end", "1: unexpected symbol near '=': Lua writes == for ==="),
        ("if a && b then end", "1: unexpected symbol near '&': Lua writes and for &&"),
        ("if a || b then end", "1: unexpected symbol near '|': Lua writes or for ||"),
        ("n += 1", "1: syntax error near '+': Lua writes x = x + 1 for x += 1 and for x++"),
        ("n++", "1: syntax error near '+': Lua writes x = x + 1 for x += 1 and for x++"),
        ("s ..= 'x'", "1: syntax error near '..': Lua writes x = x + 1 for x += 1 and for x++"),
        ("// a comment", "1: unexpected symbol near '//': a comment begins with --"),
        ("n = 1 // the number of it", "1: syntax error near 'of': a comment begins with --"),
        ("/* a comment */", "1: unexpected symbol near '/': a comment begins with --"),
        ("\n# a comment", "2: unexpected symbol near '#': a comment begins with --"),
        ("n = c ? 1 : 2", "1: unexpected symbol near '?': Lua writes c and a or b for c ? a : b"),
        ("const n = 1", "1: syntax error near 'n': Lua writes local for const, let and var"),
        ("let n = 1", "1: syntax error near 'n': Lua writes local for const, let and var"),
        ("var n = 1", "1: syntax error near 'n': Lua writes local for const, let and var"),
        (
            "for i = 1, 2 do\n  if i == 1 then\n    continue -- not this one\n  end\nend",
            "4: syntax error near 'end': write goto continue, and ::continue:: at the end of the loop",
        ),
        ("if a then elif b then end", "1: syntax error near 'b': Lua writes elseif"),
        (
            "if a then\nelse if b then\nend\n",
            "4: 'end' expected (to close 'if' at line 1) near <eof>: "
            "else if begins an if that needs an end of its own; write elseif",
        ),
        ("t = [1, 2]", "1: unexpected symbol near '[': Lua writes { a, b } for [a, b]"),
        (
            "f(limit = 5)",
            "1: ')' expected near '=': arguments by name are written in a table, as in f({ name = value })",
        ),
        ("f({ limit: 5 })", "1: <name> expected near '5': Lua writes { name = value } for { name: value }"),
        ("f({ a: b })", "1: function arguments expected near '}': Lua writes { name = value } for { name: value }"),
        ("if (a = b) then end", "1: ')' expected near '=': Lua compares with =="),
        ("if a = b then end", "1: 'then' expected near '=': Lua compares with =="),
        (
            "if a == b then f(c = 1) end",
            "1: ')' expected near '=': arguments by name are written in a table, as in f({ name = value })",
        ),
        ('t = { "n": 1 }', "1: '}' expected near ':': Lua writes { name = value } for { name: value }"),
        (
            r'p = "\d"',
            "1: invalid escape sequence near '\"\\d': "
            "in quotes, double the backslash; in [[...]], it stands for itself; patterns use %, as in %. and %d",
        ),
        ("x = = 1 -- let x != y", "1: unexpected symbol near '='"),
        ("-- let it be\nn 1", "2: syntax error near '1'"),
        ("if a then", "1: 'end' expected near <eof>"),
    ],
)
def test_an_error_of_syntax_says_how_lua_has_what_other_languages_write(
    runtime: Runtime, source: str, message: str
) -> None:
    """Lua's own message comes first; code is looked at, comments are not; where no habit is known nothing is added."""
    error = runtime.run(source).error
    assert error and error.message == f"script.lua:{message}"


@pytest.mark.slow
def test_the_search_for_habits_takes_no_longer_than_the_text_is_long(runtime: Runtime) -> None:
    """A text of millions of characters, in each line of which a habit could begin, is read through once for each."""
    outcome = runtime.run("n = 1 // 2\n" * 300_000 + "n", cpu=10)
    assert outcome.error and outcome.error.message == "script.lua:300001: syntax error near <eof>"
