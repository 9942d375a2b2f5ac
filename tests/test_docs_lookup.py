"""Addresses: every spelling of a page's name leads to it, and a wrong one to a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.catalogs import FolderCatalog, MemoryCatalog, library_catalog, write_plugin

from kosmolua.docs.lookup import Directory
from kosmolua.docs.outline import Outlines
from kosmolua.errors import DocNotFound, PluginError


def find(page: str, catalog: MemoryCatalog | None = None) -> str:
    catalog = catalog or library_catalog()
    return str(Directory(catalog, Outlines(catalog)).find(page))


@pytest.mark.parametrize(
    "page", ["books", "integrations.books", "app.integrations.books", "books.default", "books.uptown"]
)
def test_an_integration_is_found_by_its_name(page: str) -> None:
    """With or without the roots, with an account behind it or not."""
    assert find(page) == "integrations.books"


@pytest.mark.parametrize(
    "page",
    [
        "integrations.books.lend_book",
        "app.integrations.books.lend_book",
        "app.books.lend_book",
        "books.lend_book",
        "books.lib_lend_book",
        "books.default.lend_book",
        "books.downtown.lib_lend_book",
        "books.midtown.lend_book",
        "app.integrations.books.uptown.lend_book",
        "lend_book",
        "lib_lend_book",
        "  books.lend_book\n",
    ],
)
def test_a_function_is_found_by_any_of_its_names(page: str) -> None:
    """Short and full name, with or without roots, integration and account, known here or not."""
    assert find(page) == "integrations.books.lend_book"


@pytest.mark.parametrize(
    ("page", "suggestion"),
    [
        ("books.lend_bok", "'integrations.books.lend_book'"),
        ("books.midtown.lend_bok", "'integrations.books.lend_book'"),
        ("books.midtown.hall.lend_book", "'integrations.books.lend_book'"),
        ("books.midtown", "'integrations.books'"),
        ("integrations.books.uptown.lib_lend", "'integrations.books.lend_book'"),
        ("book", "'integrations.books'"),
        ("bokos.lend_book", "'integrations.books.lend_book'"),
        ("bokos.lib_lend_bok", "'integrations.books.lend_book'"),
        ("libary.lend_book", "'integrations.books.lend_book'"),
        ("lend_boko", "'integrations.books.lend_book'"),
        ("overvew", "'overview'"),
        ("books.xyzzy", "'integrations.books'"),
    ],
)
def test_a_wrong_name_suggests_the_right_page_first(page: str, suggestion: str) -> None:
    """The hint's first name is one that can be read, in full."""
    with pytest.raises(DocNotFound) as caught:
        find(page)

    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"did you mean {suggestion}")
    assert caught.value.code == "doc_not_found"


@pytest.mark.parametrize("page", ["qqq", "qqq.zzz.www", "...", "\x00" * 5000, "x" * 5000, "books." + "y." * 4000])
def test_a_name_that_resembles_nothing_says_where_the_list_is(page: str) -> None:
    """However long and strange it is, the message is one short line."""
    with pytest.raises(DocNotFound) as caught:
        find(page)

    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600


def test_a_broken_integration_says_why() -> None:
    """Asking for its page gives the reason that it cannot be loaded, not a suggestion."""
    with pytest.raises(PluginError, match="the file is not valid Python"):
        find("broken.anything")


def test_a_function_of_several_integrations_has_to_be_said_in_full(tmp_path: Path) -> None:
    """The error names the pages to choose from."""
    for name in ("alpha", "beta"):
        write_plugin(tmp_path, name)

    with pytest.raises(DocNotFound, match="2 integrations have a function 'get_invoice'") as caught:
        find("get_invoice", FolderCatalog(tmp_path))

    assert caught.value.hint == "read 'integrations.alpha.get_invoice' or 'integrations.beta.get_invoice'"
    assert find("beta_get_invoice", FolderCatalog(tmp_path)) == "integrations.beta.get_invoice"


def test_only_the_integration_that_is_named_is_loaded(tmp_path: Path) -> None:
    """Neither a full name, nor a function's name alone, nor a typo loads the others."""
    for name in ("alpha", "beta", "gamma"):
        write_plugin(tmp_path, name)
    catalog = FolderCatalog(tmp_path)

    find("beta.get_invoice", catalog)
    find("beta_get_invoice", catalog)
    with pytest.raises(DocNotFound):
        find("gama.get_invoice", catalog)

    assert set(catalog.loaded) <= {"beta", "beta_get_invoice", "gama"}
