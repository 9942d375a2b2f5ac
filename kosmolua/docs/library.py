"""The library: list, search and read pages, the same for the command line, Lua, Python and MCP."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kosmolua.docs import markdown, pages
from kosmolua.docs.lookup import Address, Directory
from kosmolua.docs.outline import Outlines, Shelf
from kosmolua.docs.pages import DETAILS, SMALLEST_BUDGET, USUAL_DETAIL, GuidePage, Page
from kosmolua.docs.ranking import MOST_HITS, USUAL_HITS, Hit, words_of
from kosmolua.docs.reference import FunctionPage, IntegrationPage
from kosmolua.docs.search import Index, entries_of, index_of
from kosmolua.errors import BadDocArguments, PluginError
from kosmolua.schema.bounds import Range
from kosmolua.schema.names import parts_of
from kosmolua.schema.types import STRING, Choice, Mismatch, Scalar, Type

_LIMIT = Scalar("integer", (Range(1, MOST_HITS),))
_BUDGET = Scalar("integer", (Range(SMALLEST_BUDGET),))
_DETAIL = Choice((*reversed(DETAILS),))
_HOW_TO_READ = '`kosmolua docs PAGE` reads one; a script reads it with `lua_read_doc("PAGE")`.'


class Library:
    """Every page there is. Any thread may use it.

    Args:
        shelf: The installed integrations.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._outlines = Outlines(shelf)
        self._directory = Directory(shelf, self._outlines)
        self._lock = threading.Lock()
        self._index: Index | None = None

    def list(self, namespace: str | None = None) -> str:
        """Return the names of pages as Markdown, one line a guide and an integration.

        Args:
            namespace: ``guides``, ``integrations``, or an integration, whose functions are then listed, one a line.

        Raises:
            DocNotFound: There is no such namespace. The hint names the likeliest.
            PluginError: The integration cannot be loaded.
        """
        asked = _fit("namespace", STRING, namespace or "")
        if parts_of(asked) not in ([], [""], ["guides"]):
            return self.read(asked, detail="brief")
        guides = "## Guides\n\n" + "\n".join(f"- `{name}`: {GuidePage(name).summary}" for name in pages.NAMES)
        integrations = "## Integrations\n\n" + "\n".join(map(self._listed, self._shelf.names()))
        wanted = {"guides": [guides], "": [guides, integrations]}.get(asked, [integrations])
        return "\n\n".join(["# Pages", _HOW_TO_READ, *wanted])

    def search(self, query: str, *, limit: int = USUAL_HITS) -> str:
        """Return the pages that match some words, best first, each with a sentence and where the words were found.

        Where none matches, it says so, and goes on with the words of names that resemble those of the query.

        Args:
            query: Words in any order; beginnings and other forms of a word match too.
            limit: How many pages, in 1..100.

        Raises:
            BadDocArguments: There is no word, or the limit is no such number.
        """
        hits = self.find(query, limit=limit)
        shown = " ".join(query.split())[:80]
        if hits:
            return _results(shown, hits)
        near = self._directory.near(query)
        if near and (hits := self.find(near, limit=limit)):
            return f"No page matches {shown!r}. {_results(near, hits)}"
        return f"No page matches {shown!r}. `kosmolua docs` and lua_list_docs() list the pages."

    def find(self, query: str, *, limit: int = USUAL_HITS) -> Sequence[Hit]:
        """Return the pages that match as values, or none; it takes and raises the same as :meth:`search`."""
        query, limit = _fit("query", STRING, query), _fit("limit", _LIMIT, limit)
        if not words_of(query):
            raise BadDocArguments("A search needs at least one word", param="query")
        return self._indexed().find(query, limit)

    def read(self, page: str, *, detail: str = USUAL_DETAIL, budget: int | None = None) -> str:
        """Return a page as Markdown.

        Args:
            page: A guide, an integration or a function, as :meth:`Directory.find` takes it.
            detail: ``brief``, ``signatures``, ``types`` (LuaCATS) or ``full``.
            budget: The most characters to return; the richest detail that fits is chosen, and the last line says
                what was left out.

        Raises:
            DocNotFound: There is no such page. The hint names the likeliest.
            BadDocArguments: The detail or the budget is none.
            PluginError: The integration cannot be loaded.
        """
        page, detail = _fit("page", STRING, page), _fit("detail", _DETAIL, detail)
        budget = None if budget is None else _fit("budget", _BUDGET, budget)
        if parts_of(page) in ([], [""]):
            return self.list(page)
        return self._page(page).write(detail, budget)

    def _page(self, page: str) -> Page:
        if page.strip() in pages.NAMES:
            return GuidePage(page.strip())
        address = self._directory.find(page)
        integration = self._shelf.integration(address.integration)
        document = markdown.read(self._shelf.prose(address.integration) or "")
        if address.function is None:
            return IntegrationPage(integration, self._shelf.accounts(address.integration), document)
        return FunctionPage(integration, integration.functions[address.function], document)

    def _listed(self, name: str) -> str:
        try:
            outline = self._outlines.of(name)
        except PluginError as error:
            return f"- `{Address(name)}`: cannot be loaded: {error.message}"
        return f"- `{Address(name)}`: {outline.about} ({outline.counts})"

    def _indexed(self) -> Index:
        with self._lock:
            if self._index is None:
                self._index = index_of(entries_of(self._shelf, self._outlines))
            return self._index


def _results(query: str, hits: Sequence[Hit]) -> str:
    count = "1 page" if len(hits) == 1 else f"{len(hits)} pages"
    lines = [_found(number, hit) for number, hit in enumerate(hits, start=1)]
    return "\n".join([f"{count} for {query!r}, the best first. {_HOW_TO_READ}", "", *lines])


def _found(number: int, hit: Hit) -> str:
    line = f"{number}. `{hit.page}`: {hit.summary}"
    return f"{line}\n   {hit.snippet}" if hit.snippet else line


def _fit(name: str, kind: Type, value: object) -> Any:
    try:
        return kind.accept(value)
    except Mismatch as mismatch:
        raise BadDocArguments(f"{name} {mismatch.problem}", param=name) from None


class Verb(NamedTuple):
    """One of the functions.

    Args:
        name: As Lua calls it.
        subject: What its first argument is.
        options: What the table after it may hold.
        example: A call that is right.
    """

    name: str
    subject: str
    options: tuple[str, ...]
    example: str


VERBS = {
    "list": Verb("lua_list_docs", "namespace", (), 'lua_list_docs("render2")'),
    "search": Verb("lua_search_docs", "query", ("limit",), 'lua_search_docs("failed deploys", { limit = 5 })'),
    "read": Verb("lua_read_doc", "page", ("detail", "budget"), 'lua_read_doc("render2", { detail = "brief" })'),
}

NAMES = {verb: told.name for verb, told in VERBS.items()}


def answer(library: Library, verb: str, given: Sequence[Any]) -> str:
    """Answer one of the three functions from what Lua passed: its subject and a table of options, or one table.

    Raises:
        BadDocArguments: The arguments are of another shape.
        DocNotFound: There is no such page.
    """
    if verb not in VERBS:
        raise BadDocArguments(f"The documentation cannot {verb[:80]!r}")
    subject, options = _read(VERBS[verb], given)
    if verb == "list":
        return library.list(subject)
    return library.search(subject, **options) if verb == "search" else library.read(subject, **options)


def _read(verb: Verb, given: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """Return the subject and the options that were passed."""
    subject, options, *surplus = [None if each in ([], {}) else each for each in [*given, None, None]]
    if isinstance(subject, Mapping) and options is None:
        options = {name: value for name, value in subject.items() if name != verb.subject}
        subject = subject.get(verb.subject)
    fits = isinstance(subject, (str, type(None))) and isinstance(options, (Mapping, type(None)))
    if not fits or any(each is not None for each in surplus):
        raise BadDocArguments(f"{verb.name} takes a string, then a table of options", hint=f"such as {verb.example}")
    checked = _known(verb, options or {})
    if subject is None and verb.name != NAMES["list"]:
        raise BadDocArguments(f"{verb.name} needs a {verb.subject}, as a string", hint=f"such as {verb.example}")
    return subject, checked


def _known(verb: Verb, options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in verb.options:
            takes = ", ".join([verb.subject, *verb.options])
            raise BadDocArguments(f"{verb.name} has no option {name!r}", param=name, hint=f"it takes {takes}")
    return dict(options)
