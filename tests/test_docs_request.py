"""What a script asks of the documentation: each way of asking that is right, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest
from support.catalogs import library_catalog

from kosmolua.docs import Library
from kosmolua.docs.library import answer
from kosmolua.errors import BadDocArguments


@pytest.fixture(scope="module")
def library() -> Library:
    """The pages of two integrations."""
    return Library(library_catalog())


@pytest.mark.parametrize(
    ("verb", "given", "same"),
    [
        ("list", [], [None]),
        ("list", [{}], []),
        ("list", [{"namespace": "books"}], ["books"]),
        ("search", [{"query": "lend", "limit": 1}], ["lend", {"limit": 1}]),
        ("read", [{"page": "books"}], ["books"]),
        ("read", [{"page": "books", "detail": "brief"}], ["books", {"detail": "brief"}]),
        ("read", ["books", {}, None], ["books", []]),
    ],
)
def test_one_table_is_as_good_as_a_string_and_a_table(
    library: Library, verb: str, given: list[Any], same: list[Any]
) -> None:
    """The tools of the MCP server take one object of these names, so that scripts write it too."""
    assert answer(library, verb, given) == answer(library, verb, same)


RIGHT = {
    "search": '(for example lua_search_docs("failed deploys", { limit = 5 }))',
    "read": '(for example lua_read_doc("render2", { detail = "brief" }))',
}


@pytest.mark.parametrize(
    ("verb", "given", "problem"),
    [
        ("read", ["books", "brief"], f"lua_read_doc takes a string, then a table of options {RIGHT['read']}"),
        ("list", [0], 'lua_list_docs takes a string, then a table of options (for example lua_list_docs("render2"))'),
        ("search", ["x", False], f"lua_search_docs takes a string, then a table of options {RIGHT['search']}"),
        ("read", [5], f"lua_read_doc takes a string, then a table of options {RIGHT['read']}"),
        ("read", ["books", {}, 1], f"lua_read_doc takes a string, then a table of options {RIGHT['read']}"),
        ("search", ["x", 5], f"lua_search_docs takes a string, then a table of options {RIGHT['search']}"),
        ("read", [], f"lua_read_doc needs a page, as a string {RIGHT['read']}"),
        ("search", [{"limit": 5}], f"lua_search_docs needs a query, as a string {RIGHT['search']}"),
        (
            "read",
            ["books", {"detal": 1}],
            "lua_read_doc has no option 'detal' (its parameters are page, detail, budget)",
        ),
        ("read", ["books", {"budget": "x"}], 'budget must be an integer of at least 400, not "x" (a string)'),
        ("read", ["books", {"detail": "breif"}], "detail must be one of"),
        ("search", ["!"], "A search needs at least one word"),
    ],
    ids=str,
)
def test_a_question_of_another_shape(library: Library, verb: str, given: list[Any], problem: str) -> None:
    """The refusal shows a call that is right, and says nothing of sending: no service was meant."""
    with pytest.raises(BadDocArguments) as refused:
        answer(library, verb, given)
    assert refused.value.message.startswith(problem)
    assert "sent" not in refused.value.message
    assert refused.value.code == "bad_arguments"
