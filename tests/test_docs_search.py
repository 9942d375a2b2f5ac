"""Search: which entries are found, and in which order, by FTS5 and without it."""

from __future__ import annotations

import threading

import pytest

from kosmolua.docs.search import Entry, FullText, FullTextMissing, Index, Plain, fts5, index_of, words_of

ENTRIES = [
    Entry("guide", "guide Introduction", "How to begin.", "Deploys and services, and how to list them all."),
    Entry("shop.list_services", "shop shop_list_services", "List all services of the account.", "limit cursor region"),
    Entry("shop.get_service", "shop shop_get_service", "Get one service.", "service_id"),
    Entry("shop.list_jobs", "shop shop_list_jobs", "List jobs of a service.", "service_id limit"),
    Entry("shop.cancel_deploy", "shop shop_cancel_deploy", "Cancel a deploy.", "One that is under way. " + "x " * 40),
]


@pytest.fixture(params=["fts5", "plain"])
def index(request: pytest.FixtureRequest) -> Index:
    return FullText(ENTRIES, fts5()) if request.param == "fts5" else Plain(ENTRIES)


def pages(index: Index, query: str, limit: int = 10) -> list[str]:
    return [hit.page for hit in index.find(query, limit)]


@pytest.mark.parametrize("query", ["list services", "how do I list the services?", "list_services", "SERVICES list"])
def test_names_weigh_more_than_text(index: Index, query: str) -> None:
    """What is called by the words comes before what only speaks of them, however the words are written."""
    assert pages(index, query)[0] == "shop.list_services"


@pytest.mark.parametrize("query", ["deploys", "deploy", "deplo", "deploying"])
def test_beginnings_and_other_forms_of_a_word_match(index: Index, query: str) -> None:
    """Plurals, endings and beginnings lead to the same entry."""
    assert pages(index, query)[0] == "shop.cancel_deploy"


def test_entries_with_all_words_come_before_those_with_some(index: Index) -> None:
    """A query of several words prefers what has them all, and fills up with what is called by some."""
    assert set(pages(index, "service limit")[:2]) == {"shop.list_services", "shop.list_jobs"}
    assert "shop.get_service" in pages(index, "service limit")
    assert pages(index, "cancel region")[0] == "shop.cancel_deploy"


def test_the_limit_holds(index: Index) -> None:
    """Never more hits than were asked for."""
    assert len(pages(index, "service", limit=2)) == 2


@pytest.mark.parametrize("query", ["", "zebra", "!!!", '"', "zz* OR (", "NEAR(", "names:", "'; drop", "\x00", "ß²"])
def test_queries_that_find_nothing_find_nothing(index: Index, query: str) -> None:
    """No query is an error, whatever it means to SQLite."""
    assert pages(index, query) == []


def test_a_hit_shows_where_its_words_are(index: Index) -> None:
    """The snippet is the part of the text around the match, cut on both sides where it is long."""
    [hit] = index.find("under way", 1)

    assert "under way" in hit.snippet
    assert hit.snippet.endswith("...")
    assert hit.summary == "Cancel a deploy."


def test_a_match_outside_the_text_has_no_snippet(index: Index) -> None:
    """What is found by its name alone needs no snippet."""
    assert index.find("jobs", 1)[0].snippet == ""


def test_without_fts5_the_plain_index_serves() -> None:
    """A Python whose SQLite lacks FTS5, or that has no SQLite, searches all the same."""

    def missing() -> object:
        raise FullTextMissing("no such module: fts5")

    assert isinstance(index_of(ENTRIES, missing), Plain)  # type: ignore[arg-type]
    assert isinstance(index_of(ENTRIES), FullText)


def test_any_thread_may_search() -> None:
    """An index made in one thread answers in others, at the same time."""
    index = index_of(ENTRIES)
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(pages(index, "list services"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize(
    ("query", "words"),
    [("How do I list_services?", ["list", "services"]), ("the", ["the"]), ("a b a", ["b"]), ("x " * 99, ["x"])],
)
def test_common_words_are_dropped_where_others_are_left(query: str, words: list[str]) -> None:
    """Questions in plain English are searched by the words that say something."""
    assert words_of(query) == words
