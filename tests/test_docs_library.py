"""The library: list, search and read, as the command line, Lua and Python use them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.catalogs import FolderCatalog, MemoryCatalog, library_catalog, write_plugin

from kosmolua.docs import Library
from kosmolua.docs.library import answer
from kosmolua.docs.pages import MIN_BUDGET, NAMES
from kosmolua.errors import BadArguments, DocNotFound, PluginError


@pytest.fixture
def library() -> Library:
    return Library(library_catalog())


def test_the_list_has_a_line_for_each_guide_and_integration(library: Library) -> None:
    """A broken integration is a line with its reason, and stops nothing."""
    lines = [line for line in library.list().splitlines() if line.startswith("- ")]

    assert [line.split("`")[1] for line in lines] == [*NAMES, "integrations.books", "integrations.broken"]
    assert "Books of a library. (3 functions: 2 read, 1 write)" in lines[-2]
    assert lines[-1].endswith("cannot be loaded: the file is not valid Python: invalid syntax")
    assert all(len(line) > 20 for line in lines)


@pytest.mark.parametrize("namespace", ["integrations", "app", "app.integrations"])
def test_the_list_can_be_of_integrations_only(library: Library, namespace: str) -> None:
    """The roots of the tree list what is below them."""
    assert "## Guides" not in library.list(namespace)
    assert "integrations.books" in library.list(namespace)
    assert library.list(namespace) == library.read(namespace)


def test_the_list_can_be_of_guides_only(library: Library) -> None:
    """``guides`` is a namespace too."""
    assert "integrations.books" not in library.list("guides")
    assert "`overview`" in library.list("guides")


def test_the_list_of_an_integration_is_its_functions(library: Library) -> None:
    """One line each, the same as its brief page."""
    assert library.list("books") == library.read("books", detail="brief")
    assert "- `lend_book` (write): Lend a book to a reader." in library.list("app.integrations.books")


def test_a_namespace_that_is_none_is_not_found(library: Library) -> None:
    """With a suggestion, as for pages."""
    with pytest.raises(DocNotFound, match=r"did you mean 'integrations\.books'"):
        library.list("boks")


def test_search_says_which_page_to_read(library: Library) -> None:
    """Each hit has its page, its sentence, and the place in the text that matched."""
    first = library.search("lend a book").splitlines()[2]

    assert first == "1. `integrations.books.lend_book`: Lend a book to a reader."
    assert "promise" in library.search("promise")


def test_what_search_names_can_be_read(library: Library) -> None:
    """Every page of a result is one that read takes."""
    text = library.search("book library error account script", limit=50)
    pages = [line.split("`")[1] for line in text.splitlines() if line[:1].isdigit() and "`" in line][1:]

    assert len(pages) > 3
    for page in pages:
        assert library.read(page)


def test_the_first_hits_have_their_signatures() -> None:
    """A call and the keys of its result save reading the page; nothing is loaded for it."""
    lines = Library(library_catalog()).search("list books").splitlines()

    assert lines[2:4] == [
        "1. `integrations.books.list_books`: List the books on the shelves.",
        "   `list_books({ limit?, sort?, tags?, kind? }) -> { books, cursor? }`",
    ]


def test_a_script_reads_the_part_of_a_guide_that_it_needs(library: Library) -> None:
    """How accounts are configured and how the sandbox is isolated is for people."""
    for name, kept, left_out in [
        ("accounts", "## Choose an account in a script", "## Configure accounts in accounts.toml"),
        ("sandbox", "## Libraries that a script can use", "## How a script is isolated"),
    ]:
        assert left_out in library.read(name)
        assert kept in library.read(name, for_scripts=True)
        assert left_out not in library.read(name, for_scripts=True)
        assert answer(library, "read", [name]) == library.read(name, for_scripts=True)


def test_an_integration_has_words_of_its_own() -> None:
    """What people say for a thing leads to the function that has another word for it."""
    catalog = library_catalog()
    integration = catalog.integration("books")
    integration.words["checkout"] = "lend_book"

    assert Library(catalog).find("checkout")[0].page == "integrations.books.lend_book"


def test_search_corrects_words_that_it_does_not_know(library: Library) -> None:
    """Beside words that are known, too, and says what it searched for instead."""
    text = library.search("lnd a book")

    assert text.startswith("Some words of 'lnd a book' match no page.")
    assert " for 'lend a book', the best first." in text
    assert "1. `integrations.books.lend_book`" in text


def test_search_finds_guides_and_integrations(library: Library) -> None:
    """Not functions alone."""
    assert library.search("what a failed call raises").splitlines()[2].startswith("1. `errors`")
    assert "`integrations.books`:" in library.search("library branch")


def test_search_without_a_match_says_so(library: Library) -> None:
    """No match is an answer, not an error."""
    assert library.search("zebra quagga").startswith("No page matches 'zebra quagga'.")


@pytest.mark.parametrize(("query", "meant"), [("lnd bok", "lend book"), ("opennig", "opening")])
def test_search_without_a_match_goes_on_with_the_nearest_names(library: Library, query: str, meant: str) -> None:
    """A slip of the finger is told apart from what is found for it."""
    text = library.search(query)

    assert text.startswith(f"No page matches '{query}'.")
    assert f" for '{meant}', the best first." in text
    assert f"`integrations.books.{meant.split()[0]}" in text
    assert library.find(query) == library.find(meant)


@pytest.mark.slow
def test_a_broken_integration_does_not_break_search() -> None:
    """Nor does one whose Markdown cannot be read, since that may need it loaded."""

    class Moody(MemoryCatalog):
        def prose(self, name: str) -> str | None:
            raise PluginError("not today", origin="x")

    assert "errors" in Library(Moody(library_catalog().integrations)).search("error")
    assert "lend_book" in Library(library_catalog()).search("lend")


@pytest.mark.parametrize(
    ("call", "param"),
    [
        (lambda library: library.search("  ...  "), "query"),
        (lambda library: library.search("a", limit=0), "limit"),
        (lambda library: library.search("a", limit=True), "limit"),
        (lambda library: library.search("a", limit="many"), "limit"),
        (lambda library: library.search(7), "query"),
        (lambda library: library.read("books", detail="rich"), "detail"),
        (lambda library: library.read("books", detail=None), "detail"),
        (lambda library: library.read("books", budget=MIN_BUDGET - 1), "budget"),
        (lambda library: library.read("books", budget="much"), "budget"),
        (lambda library: library.read(None), "page"),
        (lambda library: library.list(["books"]), "namespace"),
    ],
)
def test_arguments_are_checked(library: Library, call: object, param: str) -> None:
    """Whatever a script passes, the error names the parameter."""
    with pytest.raises(BadArguments) as caught:
        call(library)  # type: ignore[operator]

    assert caught.value.param == param


def test_a_number_from_lua_may_be_a_float(library: Library) -> None:
    """2.0 is as good as 2."""
    assert "2." in library.search("book", limit=2.0)  # type: ignore[arg-type]
    assert len(library.read("books", budget=float(MIN_BUDGET))) <= MIN_BUDGET  # type: ignore[arg-type]


@pytest.mark.parametrize("page", [*NAMES, "books", "books.list_books"])
def test_any_page_fits_its_budget(library: Library, page: str) -> None:
    """Whatever the budget, the text is within it, and grows with it."""
    lengths = [len(library.read(page, budget=budget)) for budget in (400, 700, 1200, 3000, 100_000)]

    assert all(length <= budget for length, budget in zip(lengths, (400, 700, 1200, 3000, 100_000), strict=True))
    assert lengths[-1] == len(library.read(page))


def test_reading_a_broken_integration_says_why(library: Library) -> None:
    """The same error as a call of it would give, with its origin."""
    with pytest.raises(PluginError) as caught:
        library.read("integrations.broken")

    assert caught.value.origin == "broken.py:3"


def test_listing_and_searching_load_nothing(tmp_path: Path) -> None:
    """Plugins in the usual shape are read, not run; reading one page loads one plugin."""
    for name in ("alpha", "beta"):
        write_plugin(tmp_path, name)
    catalog = FolderCatalog(tmp_path)
    library = Library(catalog)

    library.list()
    library.search("invoice")
    assert catalog.loaded == []
    library.read("alpha.get_invoice")
    assert set(catalog.loaded) == {"alpha"}


def test_a_plugin_that_hangs_hurts_only_its_own_page(tmp_path: Path) -> None:
    """A module that would never finish is listed and found, since it is not run for that."""
    file = write_plugin(tmp_path, "slow")
    file.write_text(file.read_text() + "\nraise SystemExit('this plugin was run')\n")

    assert "Made-up service slow. (70 functions" in Library(FolderCatalog(tmp_path)).list()
    assert "integrations.slow.get_invoice" in Library(FolderCatalog(tmp_path)).search("get invoice")
