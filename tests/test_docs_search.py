"""Search: which entries are found, and in which order."""

from __future__ import annotations

import threading

import pytest

from kosmolua.docs.search import Index, IndexEntry, Owner, Search
from kosmolua.docs.vocabulary import MAX_WORDS, words_of
from kosmolua.errors import DocNotFound

ENTRIES = [
    IndexEntry("guide", "guide Introduction", "How to begin.", "", "Deploys and services, and how to list them all."),
    IndexEntry(
        "shop.list_services", "shop shop_list_services", "List all services of the account.", "", "limit cursor region"
    ),
    IndexEntry("shop.get_service", "shop shop_get_service", "Get one service.", "", "service_id"),
    IndexEntry("shop.list_jobs", "shop shop_list_jobs", "List jobs of a service.", "", "service_id limit"),
    IndexEntry(
        "shop.cancel_deploy", "shop shop_cancel_deploy", "Cancel a deploy.", "", "One that is under way. " + "x " * 40
    ),
]


@pytest.fixture(scope="module")
def index() -> Search:
    return Search([Index.of(ENTRIES)], owners={"shop": Owner([frozenset({"shop"})])})


def pages(index: Search, query: str, limit: int = 10) -> list[str]:
    return [hit.page for hit in index.find(query, limit)]


@pytest.mark.parametrize("query", ["list services", "how do I list the services?", "list_services", "SERVICES list"])
def test_names_weigh_more_than_text(index: Search, query: str) -> None:
    """What is called by the words comes before what only speaks of them, however the words are written."""
    assert pages(index, query)[0] == "shop.list_services"


@pytest.mark.parametrize("query", ["deploys", "deploy", "deplo", "deploying"])
def test_beginnings_and_other_forms_of_a_word_match(index: Search, query: str) -> None:
    """Plurals, endings and beginnings lead to the same entry."""
    assert pages(index, query)[0] == "shop.cancel_deploy"


def test_entries_with_all_words_come_before_those_with_some(index: Search) -> None:
    """A query of several words prefers what has them all, and goes on with what has some, wherever it has them."""
    assert pages(index, "service limit")[:2] == ["shop.list_services", "shop.list_jobs"]
    assert pages(index, "cancel region")[0] == "shop.cancel_deploy"


def test_a_summary_says_as_much_as_a_name(index: Search) -> None:
    """More words in a sentence come before fewer in a name."""
    assert pages(index, "jobs of an account")[:2] == ["shop.list_jobs", "shop.list_services"]
    assert pages(index, "zebra list of all services of the account")[0] == "shop.list_services"


@pytest.mark.parametrize(
    ("query", "page"), [("abort a deploy", "cancel_deploy"), ("show all services", "list_services")]
)
def test_words_of_the_same_meaning_match(index: Search, query: str, page: str) -> None:
    """Whoever does not know the name of a function finds it by what it does."""
    assert pages(index, query)[0] == f"shop.{page}"


def test_the_word_itself_counts_more_than_one_of_its_meaning(index: Search) -> None:
    """Between getting and listing, what was written decides."""
    assert pages(index, "get services")[0] == "shop.get_service"
    assert pages(index, "list services")[0] == "shop.list_services"


def test_of_equals_the_first_comes_first(index: Search) -> None:
    """The order is that of the entries, and so the author's."""
    assert pages(index, "shop") == [entry.page for entry in ENTRIES[1:]]


def test_a_word_of_two_letters_stands_for_no_longer_one(index: Search) -> None:
    """Else ``an id`` would find what is under way ``in`` some place, or ``idle``."""
    assert pages(index, "ge") == []
    assert "shop.get_service" in pages(index, "id")


def test_the_limit_holds(index: Search) -> None:
    """Never more hits than were asked for."""
    assert len(pages(index, "service", limit=2)) == 2


@pytest.mark.parametrize("query", ["", "zebra", "!!!", '"', "zz* OR (", "NEAR(", "names:", "'; drop", "\x00", "ß²"])
def test_queries_that_find_nothing_find_nothing(index: Search, query: str) -> None:
    """No query is an error, whatever it means to SQLite."""
    assert pages(index, query) == []


def test_a_hit_shows_where_its_words_are(index: Search) -> None:
    """The snippet is the part of the text around the match, cut on both sides where it is long."""
    [hit] = index.find("under way", 1)

    assert "under way" in hit.snippet
    assert hit.snippet.endswith("...")
    assert hit.summary == "Cancel a deploy."


def test_a_match_outside_the_text_has_no_snippet(index: Search) -> None:
    """What is found by its name alone needs no snippet."""
    assert index.find("jobs", 1)[0].snippet == ""


def test_without_fts5_search_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose SQLite lacks FTS5 refuses to search, and says how to list the pages instead."""
    import sqlite3

    class WithoutFullText(sqlite3.Connection):
        def executescript(self, script: str) -> sqlite3.Cursor:
            raise sqlite3.OperationalError("no such module: fts5")

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, **named, factory=WithoutFullText))
    with pytest.raises(DocNotFound, match="this Python's SQLite has no FTS5") as refused:
        Index.of(ENTRIES)
    assert "lua_list_docs()" in str(refused.value.hint)


def test_a_very_long_query_is_cut(index: Search) -> None:
    """A script cannot make the host search for thousands of words."""
    query = "cancel " + " ".join(f"word{number}" for number in range(10_000))

    assert len(words_of(query)) == MAX_WORDS
    assert pages(index, query) == []
    assert pages(index, "cancel " * 10_000) == ["shop.cancel_deploy"]


@pytest.mark.parametrize(
    ("query", "corrected"),
    [("cancle a deploy", "cancel a deploy"), ("list servises", "list services"), ("list services", "list services")],
)
def test_unknown_words_are_replaced_by_the_nearest_known(index: Search, query: str, corrected: str) -> None:
    """Known words stay as they are."""
    assert index.corrected(query) == corrected


def test_an_integration_may_add_words() -> None:
    """What people call a thing leads to the word that the documentation has for it."""
    index = Search([Index.of(ENTRIES)], [("jobs", "chores errands")])

    assert pages(index, "my chores") == ["shop.list_jobs"]
    assert pages(index, "errand") == ["shop.list_jobs"]


def test_any_thread_may_search() -> None:
    """An index made in one thread answers in others, at the same time."""
    index = Search([Index.of(ENTRIES)])
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
    [
        ("How do I list_services?", ["list", "services"]),
        ("the", ["the"]),
        ("a b a", ["b"]),
        ("x " * 99, ["x"]),
        ("listServices on GitHub", ["list", "services", "github"]),
        ("who has what", ["who"]),
    ],
)
def test_common_words_are_dropped_where_others_are_left(query: str, words: list[str]) -> None:
    """Questions in plain English are searched by the words that say something."""
    assert words_of(query) == words


FORMS = [
    "cancel cancels cancelled cancelling",
    "delete deletes deleted deleting",
    "run runs running",
    "repository repositories",
    "service services",
    "list lists listed listing",
    "process processed processing processes",
]


@pytest.mark.parametrize("forms", FORMS)
def test_any_form_of_a_word_finds_any_other(forms: str) -> None:
    """Endings do not matter, in the query or in the text."""
    words = forms.split()
    index = Search([Index.of(IndexEntry(word, "", f"About {word}.", "", "") for word in words)], ())

    for word in words:
        assert sorted(pages(index, word)) == sorted(words)


TEXT = """Lead-in words before it. Nothing of `interest` is said, as **ever**, in [a link](https://example.com/zebra).

### Example

```lua
print(app.integrations.shop.promise({ zebra = 1 }))
```

| Column | Meaning |
|--------|---------|
| `promise` | What is kept. |
"""


def test_a_snippet_is_words_not_code() -> None:
    """It has no cut-up code, heading, table or link."""
    entry = IndexEntry("shop.promise", "shop", "", "", TEXT)
    index = Search([Index.of([entry])])

    assert index.find("promise", 1)[0].snippet == "...Column Meaning promise What is kept."
    assert index.find("zebra", 1)[0].snippet == ""
    assert index.find("interest", 1)[0].snippet.startswith("...Nothing of interest is said")


def test_a_snippet_is_where_most_of_the_words_are() -> None:
    """The first place that has one of them need not be the best."""
    text = "A promise. " + "x " * 30 + "To keep a promise is good. " + "x " * 30
    [hit] = Search([Index.of([IndexEntry("page", "", "", "", text)])]).find("keep promise", 1)

    assert "keep a promise" in hit.snippet


@pytest.mark.parametrize(
    ("query", "summary"),
    [
        ("give the money back", "Create a refund."),
        ("draw a picture", "Create an image."),
        ("phone somebody", "Make a call."),
        ("set up an alert", "Create a monitor."),
        ("details of a customer", "Fetch a customer."),
        ("untag a customer", "Remove a tag."),
    ],
)
def test_everyday_words_find_those_of_services(query: str, summary: str) -> None:
    """People say what they want, not how a service names it."""
    things = ["Create a customer.", "Create a refund.", "Create an image.", "Make a call.", "Create a monitor."]
    summaries = [*things, "Fetch a customer.", "Update a customer.", "Remove a tag."]
    index = Index.of(IndexEntry(f"f{place}", "", each, "", "", "write") for place, each in enumerate(summaries))

    assert Search([index]).find(query, 1)[0].summary == summary
