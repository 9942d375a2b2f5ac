"""Reference pages: everything a signature says, merged with what the author wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from support.catalogs import PROSE, Account, Author, MemoryCatalog, books, library_catalog
from support.library import library

from kosmolua import Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.docs import Library
from kosmolua.errors import DocNotFound
from kosmolua.plugin import Integration, between, matching

SEED = Path(__file__).parent.parent.parent / "shared" / "seed" / "render2-lua-reference.txt"


class Wide(TypedDict):
    id: str
    name: str
    kind: str
    size: int
    color: str | None
    weight: int
    owner: str
    status: str


def read(page: str, detail: str = "full") -> str:
    return Library(library_catalog()).read(page, detail=detail)


def section(text: str, heading: str) -> str:
    level = heading.split()[0]
    return text.partition(f"{heading}\n")[2].partition(f"\n{level} ")[0]


def test_the_page_opens_with_what_the_integration_is() -> None:
    """Title and introduction by the author; sentence, counts, prefix and accounts from the signatures."""
    opening = read("books").partition("## Functions")[0]

    assert opening.startswith("# The Library\n\nBooks of a library.")
    assert "`app.integrations.books` has 3 functions: 2 read, 1 write." in opening
    assert "Full names start with `lib_`." in opening
    assert "Accounts: `downtown`, `uptown`." in opening
    assert opening.rstrip().endswith("Borrow, and bring back.")


def test_an_integration_without_an_account_says_what_to_do() -> None:
    """Its functions are documented all the same."""
    text = Library(MemoryCatalog({"books": books()})).read("books")

    assert "No account yet: `kosmolua accounts example` prints what to add." in text
    assert "## lend_book" in text


def test_accounts_of_the_simulator_are_called_that() -> None:
    """Those that a simulated page names although no file has them; the file's own are accounts as ever."""
    plugins = Plugins([library()], places=(), entry_points=dict)
    account = {"library": {"work": {"api_key": "key-a1b2c3d4e5f6"}}}
    for accounts, said in (({}, "Simulated accounts: `default`, `production`"), (account, " Accounts: `work`.")):
        with Runtime(accounts, plugins=plugins, simulate=True, environ={}) as runtime:
            assert said in runtime.docs.read("integrations.library", detail="brief")


def test_functions_are_listed_with_effect_and_summary() -> None:
    """One row each, in the order in which they were registered."""
    lines = section(read("books"), "## Functions").splitlines()

    assert [line for line in lines if line.startswith("| `")] == [
        "| `list_books` | read | List the books on the shelves. |",
        "| `lend_book` | write | Lend a book to a reader. |",
        "| `opening_hours` | read | Say when the library is open. |",
    ]


def test_parameters_have_name_type_need_and_description() -> None:
    """Bounds, choices and defaults are added to a sentence that does not say them."""
    listing = section(read("books"), "## list_books")
    lending = section(read("books"), "## lend_book")

    assert "| `limit` | integer | no | How many to return a page (in 1..100, default: 20). |" in listing
    assert '| `sort` | string | no | What to sort by (one of "title", "year", default: "title"). |' in listing
    assert "| `tags` | array | no | Only those with all of these tags (`string[]`). |" in listing
    assert (
        '| `kind` | string or array | no | Only these kinds (`string\\|string[]`, one of "novel", "essay"). |'
        in listing
    )
    assert "| `book_id` | string | yes | The book's id (like 'b-12'). |" in lending
    assert "| `reader` | string | yes | Who takes it \\| by name (not needed with card). |" in lending
    assert "| `options` | object | no | Anything else (`table<string, string>`). |" in lending


def test_a_parameter_names_the_class_or_the_items_that_it_takes() -> None:
    """So that the class below can be found from the table, and the bounds of items are known."""
    integration = Integration("shop", Account, about="A shop.")

    @integration.reads
    def find(
        api: Any,
        /,
        *,
        author: Annotated[Author, "By whom."],
        ids: list[Annotated[str, matching("b-.", "b-1")]],
        sizes: Annotated[dict[str, list[Annotated[int, between(1, 9)]]] | None, "How many of each."] = None,
        either: Annotated[int | list[Author] | None, "Its number, or authors.", between(1, 5)] = None,
        when: int | str = 1,
    ) -> dict:
        """Find something."""
        return {}

    found = rows(Library(MemoryCatalog({"shop": integration})).read("shop.find"))

    assert found["author"] == ("object", "yes", "By whom (`shop.Author`).")
    assert found["ids"] == ("array", "yes", "`string[]`, each like 'b-1'.")
    assert found["sizes"] == ("object", "no", "How many of each (`table<string, integer[]>`, each in 1..9).")
    assert found["either"][2] == "Its number, or authors (`integer\\|shop.Author[]`, in 1..5)."
    assert found["when"] == ("integer or string", "no", "Default: 1.")


def test_a_function_without_parameters_says_none() -> None:
    """As in the tables that agents know."""
    assert "### Parameters\n\nNone." in section(read("books"), "## opening_hours")


def test_a_function_says_its_effect_full_name_and_result() -> None:
    """The docstring's parts come in a fixed order, its code in Markdown, its result with the type's name."""
    text = section(read("books"), "## list_books")

    assert "Effect: read. Full name: `books.lib_list_books`; in permissions also `books.list_books`." in text
    assert "Lent ones are among them; see `lend_book`." in text
    assert "### Returns\n\nA page of books, the `cursor` of the next one with it.\n\nType: `books.BookPage`." in text
    assert "### Errors\n\nCallError: The library is closed." in text


def test_a_function_whose_docstring_tells_nothing_of_its_result_says_its_type() -> None:
    """So it is of a document's functions; a docstring that tells of it stands alone if the type has no name."""
    integration = Integration("shop", Account, about="A shop.")

    @integration.reads
    def stock(api: Any, /) -> dict[str, int]:
        """Count what is there."""
        return {}

    @integration.reads
    def motto(api: Any, /) -> str:
        """Return the motto.

        Returns:
            A sentence.
        """
        return ""

    page = Library(MemoryCatalog({"shop": integration})).read
    assert "## Returns\n\nType: `table<string, integer>`." in page("shop.stock")
    assert "Type:" not in page("shop.motto")


def test_the_prose_of_a_function_is_in_its_section() -> None:
    """By the short or the full name in the heading; other sections come after all functions."""
    text = read("books")

    assert "Lending is a promise." in section(text, "## lend_book")
    assert "## not a heading" in text.partition("## lend_book")[2].partition("## opening_hours")[0]
    assert "Open late on Thursdays." in section(text, "## opening_hours")
    assert "---" not in text.splitlines()
    assert text.index("## Multi-account usage") > text.index("## opening_hours")


def test_records_are_declared_once_at_the_end() -> None:
    """Types of results stand together, with what may be absent marked."""
    types = section(read("books"), "## Types")

    assert types.count("---@class") == 3
    assert "---@class books.Author\n---@field name string\n---@field mail? string Where to write to." in types


def test_a_function_page_has_the_same_content_one_level_higher() -> None:
    """Nothing but the function, under its path."""
    text = read("books.uptown.lib_lend_book")

    assert text.startswith("# app.integrations.books.lend_book\n\nLend a book to a reader.")
    assert "\n## Parameters\n" in text
    assert "\n## Example\n" in text
    assert "## not a heading" in text
    assert "opening_hours" not in text


def test_brief_has_a_line_for_each_function() -> None:
    """Name, effect and sentence."""
    lines = [line for line in read("books", "brief").splitlines() if line.startswith("- ")]

    assert lines[1] == "- `lend_book` (write): Lend a book to a reader."
    assert len(lines) == 3
    assert read("books.lend_book", "brief") == "`app.integrations.books.lend_book` (write): Lend a book to a reader."


def test_signatures_have_types_and_defaults() -> None:
    """What a model needs to call a function, in one line."""
    text = read("books", "signatures")

    assert (
        '- `list_books({ limit?: integer = 20, sort?: "title"|"year" = "title", tags?: string[], '
        "kind?: string|string[] }) -> { books: Book[], cursor?: string }` (read): List the books on the shelves."
        in text
    )
    assert "- `opening_hours() -> table<string, any>` (read)" in text


def test_a_record_of_many_keys_is_named_in_a_signature_with_its_keys() -> None:
    """Few keys have their types, many only their names."""
    integration = Integration("shop", Account, about="A shop.")

    @integration.reads
    def find(api: Any, /) -> Wide:
        """Find something."""
        return {}

    text = Library(MemoryCatalog({"shop": integration})).read("shop", detail="signatures")

    assert "`find() -> Wide { id, name, kind, size, color?, weight, owner, status }`" in text


def test_a_budget_keeps_prose_signatures_and_each_type_once() -> None:
    """What makes a script right comes before descriptions of parameters and examples."""
    full = read("books")
    text = Library(library_catalog()).read("books", budget=len(full) - 1)

    assert "Borrow, and bring back." in text
    assert "-> { books: Book[], cursor?: string }` (read)" in text
    assert text.count("---@class books.Book\n") == 1
    assert "---@class books.Author" in text
    assert "Lending is a promise." not in text
    assert "examples and descriptions of parameters are left out" in text.splitlines()[-1].lower()


def test_bundled_integrations_are_read_whole_within_the_usual_budget() -> None:
    """Prose and a call of every function of render2 fit into 20,000 characters; each function's page has its types."""
    text = render2_page(budget=20_000)

    assert "**Pages.** Lists come in pages" in text
    rest = re.search(r"(\d+) more call the other operations", text)
    assert text.count("\n- `") + int(rest[1]) == int(re.search(r"has (\d+) functions", text)[1])
    assert "list_owners({ limit?, cursor?, name?, email?, all? }) -> { owners, cursor? }` (read)" in text
    assert "types, examples and descriptions of parameters are left out" in text.splitlines()[-1].lower()


def test_several_pages_are_read_at_once() -> None:
    """In the order asked for, the types of results once, and each page once."""
    text = read("books.list_books, overview,books.lend_book,  books.list_books")

    assert text.index("# app.integrations.books.list_books") < text.index("# app.integrations.books.lend_book")
    assert text.index("# app.integrations.books.lend_book") < text.index("# Overview")
    assert text.count("# app.integrations.books.list_books") == 1
    assert text.count("---@class books.Book\n") == 1
    assert read("books.list_books, books.lend_book", "brief").count("\n") == 1


def test_one_wrong_page_of_several_is_an_error_that_names_it() -> None:
    """Nothing is left out silently."""
    with pytest.raises(DocNotFound, match=r"There is no page 'books\.lend_bok'"):
        read("books.list_books, books.lend_bok")


def test_types_declare_arguments_choices_results_and_calls() -> None:
    """LuaCATS in one block, each name declared before the function that uses it."""
    text = read("books.list_books", "types")

    assert '---@alias books.list_books.sort\n---| "title"\n---| "year"' in text
    assert "---@class books.list_books.args" in text
    assert '---@field sort? books.list_books.sort What to sort by (default: "title").' in text
    assert "---@param args? books.list_books.args\n---@return books.BookPage" in text
    assert text.index("---@class books.BookPage") < text.index("function books.list_books(args) end")


def test_prose_is_not_needed() -> None:
    """A plugin without Markdown has a whole page."""
    catalog = library_catalog()
    catalog.markdown.clear()

    text = Library(catalog).read("books")

    assert text.startswith("# books\n\nBooks of a library.")
    assert PROSE.splitlines()[2] not in text


# The tables of the seed file


def seed_tables() -> dict[str, dict[str, tuple[str, str, str]]]:
    """Return for each function of the seed its parameters, each with type, need and description."""
    if not SEED.exists():
        pytest.skip("the seed file is not in this checkout")
    raw = SEED.read_text(encoding="utf-8").partition("Raw agent markdown")[2].partition("Metadata-Derived")[0]
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", raw, re.DOTALL | re.MULTILINE)
    return {name: rows(body) for name, body in sections if "_" in name}


def rows(text: str) -> dict[str, tuple[str, str, str]]:
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (yes|no) \| (.*) \|$", text, re.MULTILINE)
    return {name: (kind, need, about) for name, kind, need, about in found}


def render2_page(budget: int | None = None) -> str:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.catalog.catalog import Catalog
    from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
    from kosmolua.secret import Redactor

    plugins = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict)
    accounts = Accounts({}, Path("accounts.toml"), environ={}, redactor=Redactor(), simulate=True)
    return Library(Catalog([plugins], accounts)).read("integrations.render2", budget=budget)


def test_the_page_of_render2_has_the_tables_of_the_seed() -> None:
    """Every function and parameter with its type, its need and its default; later additions are optional."""
    page = render2_page()
    tables = seed_tables()

    assert len(tables) == 7
    for name, parameters in tables.items():
        here = rows(section(page, f"## {name}"))
        assert list(here)[: len(parameters)] == list(parameters) or set(parameters) <= set(here)
        for parameter, (kind, need, about) in parameters.items():
            assert here[parameter][:2] == (kind, need), f"{name}.{parameter}"
            for default in re.findall(r"default: `?([^`,)]+)", about):
                assert default in here[parameter][2], f"{name}.{parameter} has the default {default}"
        added = {extra: row for extra, row in here.items() if extra not in parameters}
        assert all(row[1] == "no" for row in added.values()), name


def test_the_page_of_render2_says_the_full_names_of_the_seed() -> None:
    """``render2.render_list_services`` and its like, each with its effect."""
    page = render2_page()

    for name in seed_tables():
        effect = "write" if name == "create_service" else "read"
        assert f"Effect: {effect}. Full name: `render2.render_{name}`; in permissions" in section(page, f"## {name}")
