"""What the REPL offers at the cursor, and the parameter list it shows there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.catalogs import books

from kosmolua import Runtime
from kosmolua.authoring.completion import Candidate, Candidates
from kosmolua.catalog.plugins import Plugins
from kosmolua.cli.repl.commands import files_that_begin_with
from kosmolua.errors import PluginError
from kosmolua.lua.syntax import place_of
from kosmolua.runs.session import Names

COMMANDS = {":doc": "Read a page.", ":load": "Run a file.", ":limits": "List the limits."}
GLOBALS = {"shop": "table", "shout": "function", "_": "number", "library": "table", "home": "table"}
INSIDE = {
    "": Names(GLOBALS, None),
    "shop": Names({"open": "boolean", "order": "function"}, None),
    "library": Names({}, "app.integrations.books"),
    "home": Names({}, "app.integrations.books.home"),
}


@pytest.fixture
def asked() -> list[str]:
    """The tables whose names were asked for."""
    return []


@pytest.fixture
def candidates(asked: list[str]) -> Candidates:
    """Candidates over an integration with one of everything, and a session with a few globals."""

    def names(path: str) -> Names:
        asked.append(path)
        return INSIDE.get(path, Names({}, None))

    accounts = {"books": {"home": {}, "work": {}}}
    catalog = Runtime(accounts, plugins=Plugins([books()], places=(), entry_points=dict), environ={}).catalog
    return Candidates(catalog, names, COMMANDS, lambda text: ["report.lua", "reports/"])


def texts(found: list[Candidate]) -> list[str]:
    """Return what would be inserted."""
    return [each.text for each in found]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("sh", ["shop", "shout"]),
        ("print(sh", ["shop", "shout"]),
        ("re", ["repeat", "return"]),
        ("ap", ["app"]),
        ("_", []),
        ("shop.o", ["open", "order"]),
        ("shop:or", ["order"]),
        ("shop.", ["open", "order"]),
        ("shop.order", []),
        ("nothing.", []),
        ("x = ", []),
        ("app.", ["integrations"]),
        ("app.integrations.", ["books"]),
        ("app.integrations.books.l", ["lend_book", "list_books"]),
        ("app.integrations.books.", ["default", "home", "lend_book", "list_books", "opening_hours", "work"]),
        ("app.integrations.books.home.", ["lend_book", "list_books", "opening_hours"]),
        ("app.integrations.books.home.list_books.", []),
        ("app.nothing.", []),
        ("app.integrations.nothing.", []),
        ("library.li", ["list_books"]),
        ("home.o", ["opening_hours"]),
        ("local page = library.li", ["list_books"]),
        ("library.list_books(sh", ["shop", "shout"]),
        ("library.list_books{", ["kind = ", "limit = ", "sort = ", "tags = "]),
        ("library.list_books({ ", ["kind = ", "limit = ", "sort = ", "tags = "]),
        ("library.list_books{ limit = 5, ", ["kind = ", "sort = ", "tags = "]),
        ("library.list_books{ limit = 5, so", ["sort = "]),
        ("library.list_books{ limit = sh", ["shop", "shout"]),
        ("library.list_books{ sort = ", ['"title"', '"year"']),
        ('library.list_books{ sort = "y', ["year"]),
        ("library.list_books{ kind = 'es", ["essay"]),
        ("library.list_books{ tags = { sh", ["shop", "shout"]),
        ("library.list_books{ tags = { 'a, b' }, li", ["limit = "]),
        ('print("sh', []),
        ("lua_read_doc('over", ["overview"]),
        ('lua_read_doc "integrations.books.l', ["integrations.books.lend_book", "integrations.books.list_books"]),
        ("lua_list_docs('integ", ["integrations.books"]),
        (":l", [":limits", ":load"]),
        (":doc er", ["errors"]),
        (":doc integrations.books.op", ["integrations.books.opening_hours"]),
        (":load rep", ["report.lua", "reports/"]),
        (":limits x", []),
        ("::sh", ["shop", "shout"]),
        ("print('a')\nsh", ["shop", "shout"]),
        ("x = 'it''s' -- don't\nsh", ["shop", "shout"]),
    ],
)
def test_what_could_stand_at_the_cursor(candidates: Candidates, typed: str, offered: list[str]) -> None:
    """Globals, members, paths, accounts, functions, arguments, choices, pages, commands, files: each in its place."""
    assert texts(candidates.of(typed)) == offered


def test_a_name_that_begins_with_an_underscore_has_to_be_asked_for(candidates: Candidates) -> None:
    """The last value is no word to offer, unless it is begun."""
    assert "_" not in texts(candidates.of(""))


def test_candidates_say_where_they_begin_and_what_they_are(candidates: Candidates) -> None:
    """What was typed of a word is replaced; a function comes with its summary, an argument with its type."""
    assert candidates.of("library.list_b") == [Candidate("list_books", -6, "List the books on the shelves.")]
    (limit,) = candidates.of("library.list_books{ li")
    assert limit == Candidate("limit = ", -2, "integer?  How many to return a page (in 1..100, default: 20).")


@pytest.mark.parametrize(
    ("typed", "function"),
    [
        ("app.integrations.books.lend_book{", "lend_book"),
        ("library.lend_book({ book_id = 'b-1', ", "lend_book"),
        ("library.lend_book(", "lend_book"),
        ("library.lend_book", None),
        ("library.lend_book{}", None),
        ("library.lend_book{ options = {", None),
        ("library.no_such{", None),
        ("print(", None),
        ("f{", None),
        ("", None),
    ],
)
def test_the_function_whose_arguments_are_written(candidates: Candidates, typed: str, function: str | None) -> None:
    """It is the one whose bracket is open at the cursor."""
    found = candidates.function_at(typed)
    assert (found and found.name) == function


def test_the_session_is_asked_once_until_a_chunk_runs(candidates: Candidates, asked: list[str]) -> None:
    """Typing does not fork for each key."""
    for typed in ["sh", "sho", "shop.", "shop.o"]:
        candidates.of(typed)
    assert asked == ["", "shop"]
    candidates.forget()
    candidates.of("shop.")
    assert asked == ["", "shop", "shop"]


def test_an_integration_that_cannot_be_loaded_offers_nothing(tmp_path: Path) -> None:
    """Completion never fails; the chunk will say what is wrong."""
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no')\n")
    catalog = Runtime({}, plugins=Plugins([broken], places=(), entry_points=dict), environ={}).catalog
    with pytest.raises(PluginError):
        catalog.integration("broken")
    candidates = Candidates(catalog, lambda path: Names({}, None), COMMANDS, lambda text: [])
    assert candidates.of("app.integrations.broken.") == []
    assert texts(candidates.of("app.integrations.")) == ["broken"]
    assert candidates.function_at("app.integrations.broken.f{") is None


def test_files_are_found_below_the_folder_that_is_typed(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders end with a slash, so that one can go on; a folder that is not there holds nothing."""
    write("scripts/report.lua", "")
    write("other.lua", "")
    monkeypatch.chdir(tmp_path)
    assert [*files_that_begin_with("")] == ["other.lua", "scripts/"]
    assert [*files_that_begin_with("scripts/re")] == ["scripts/report.lua"]
    assert [*files_that_begin_with(f"{tmp_path}/scr")] == [f"{tmp_path}/other.lua", f"{tmp_path}/scripts/"]
    assert [*files_that_begin_with("nowhere/")] == []
    assert [*files_that_begin_with("~nobody-of-this-name/")] == []


def test_brackets_and_quotes_in_comments_and_long_strings_open_nothing() -> None:
    """Only what Lua reads as a bracket or a quote is one."""
    text = "f({ -- it's { (\n a = [[ { ( ]], b = "
    assert place_of(text) == (text.index("{"), text.rindex(",") + 1, None)
    assert place_of("é('ü', \"x").quote == 7
