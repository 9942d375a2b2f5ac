"""Lists, searches and reads the pages of the documentation, for the command line, Lua, Python and MCP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.concurrency import lazy
from kosmolua.docs import markdown, pages
from kosmolua.docs.lookup import Directory
from kosmolua.docs.outline import Integrations, Outlines
from kosmolua.docs.pages import DEFAULT_DETAIL, DETAILS, MIN_BUDGET, Address, GuidePage, Page, SeveralPages
from kosmolua.docs.reference import FunctionsPage, IntegrationPage
from kosmolua.docs.search import (
    DEFAULT_HITS,
    MAX_HITS,
    Hit,
    Index,
    Owner,
    Search,
    entries_of,
    entries_of_guides,
    meanings_of,
)
from kosmolua.docs.sections import RecordPage, SectionPage, SectionsPage, has_page_of_sections, in_sections, sections_of
from kosmolua.docs.vocabulary import words_in, words_of
from kosmolua.errors import BadDocArguments, PluginError
from kosmolua.schema.bounds import Range
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import FLAT, ROOT, integration_in, parts_of, root_and_name
from kosmolua.schema.types import STRING, Choice, Scalar, Type

if TYPE_CHECKING:
    from kosmolua.schema.functions import More

MAX_SIGNATURES = 3
"""How many hits of a search are shown with their signature."""
MAX_PAGES = 20
"""The most pages that can be read at once."""

_LIMIT = Scalar("integer", (Range(1, MAX_HITS),))
_BUDGET = Scalar("integer", (Range(MIN_BUDGET),))
_DETAIL = Choice((*reversed(DETAILS),))
_HOW_SCRIPTS_READ = 'lua_read_doc("PAGE") reads one.'
_HOW_TO_READ = '`kosmolua docs PAGE` reads one; a script reads it with `lua_read_doc("PAGE")`.'


class Library:
    """All pages of the documentation. Several threads can use one library."""

    def __init__(self, catalog: Integrations) -> None:
        self._catalog = catalog
        self._outlines = Outlines(catalog)
        self._directory = Directory(catalog, self._outlines)

    def list(self, namespace: str | None = None) -> str:
        """Return a Markdown list of pages, with a line for each guide and each integration.

        Args:
            namespace: What to list: ``guides``; the integrations in ``integrations``, ``mcp`` or ``scripts``; or the
                functions of the integration that has this name. By default, all guides and integrations are listed.

        Raises:
            DocNotFound: There is nothing with this name. The hint suggests similar names.
            PluginError: The integration cannot be loaded.
        """
        asked = _checked("namespace", STRING, namespace or "")
        names = self._catalog.names()
        root = ".".join(parts_of(asked))
        if root not in ("", "guides", *(root_and_name(name)[0] for name in names)):
            return self.read(asked, detail="brief")
        guides = "## Guides\n\n" + "\n".join(f"- `{name}`: {GuidePage(name).summary}" for name in pages.NAMES)
        if asked:
            names = [name for name in names if root_and_name(name)[0] == (root or ROOT)]
        integrations = "## Integrations\n\n" + "\n".join(map(self._listed, names))
        wanted = {"guides": [guides], "": [guides, integrations]}.get(asked, [integrations])
        return "\n\n".join(["# Pages", _HOW_TO_READ, *wanted])

    def _listed(self, name: str) -> str:
        try:
            outline = self._outlines.of(name)
        except PluginError as error:
            return f"- `{Address(name)}`: cannot be loaded: {error.message}"
        return f"- `{Address(name)}`: {outline.about} ({outline.counts})"

    def search(self, query: str, *, limit: int = DEFAULT_HITS, for_scripts: bool = False) -> str:
        """Return a Markdown list of the pages that match a query, the best first.

        Functions among the first three pages are shown with their signatures. If no page contains a word of the query,
        the most similar word that a page contains is used instead, and the text says so.

        Args:
            query: Words in any order. Each word also finds its synonyms, its other forms, and longer words that begin
                with it.
            limit: The most pages to list, from 1 to 100.
            for_scripts: Whether to leave out the guides that only people need.

        Raises:
            BadDocArguments: The query contains no word, or the limit is not a whole number from 1 to 100.
        """
        query, limit = _search_arguments(query, limit)
        shown, remark = " ".join(query.split())[:80], ""
        corrected = self._search.corrected(query)
        if corrected and corrected != query:
            is_partly_known = not set(words_of(query)).isdisjoint(corrected.split())
            remark = f"Some words of {shown!r} match no page. " if is_partly_known else f"No page matches {shown!r}. "
            query = shown = corrected
        hits = self.find(query, limit=limit, for_scripts=for_scripts)
        if not hits:
            return f"No page matches {shown!r}. lua_list_docs() and `kosmolua docs` list the pages."
        count = "1 page" if len(hits) == 1 else f"{len(hits)} pages"
        how = _HOW_SCRIPTS_READ if for_scripts else _HOW_TO_READ
        lines = [self._found(number, hit) for number, hit in enumerate(hits, start=1)]
        return "\n".join([f"{remark}{count} for {shown!r}, the best first. {how}", "", *lines])

    def _found(self, number: int, hit: Hit) -> str:
        signature = self._signature(hit.page) if number <= MAX_SIGNATURES else ""
        return "\n   ".join(filter(None, [f"{number}. `{hit.page}`: {hit.summary}", signature, hit.snippet]))

    def _signature(self, page: str) -> str:
        integration, function = integration_in(parts_of(page), self._catalog.names())
        signature = self._outlines.signature(integration, function[0]) if function else ""
        return signature and f"`{signature}`"

    def find(self, query: str, *, limit: int = DEFAULT_HITS, for_scripts: bool = False) -> Sequence[Hit]:
        """Return the pages that :meth:`search` would list.

        Raises:
            BadDocArguments: The query contains no word, or the limit is not a whole number from 1 to 100.
        """
        query, limit = _search_arguments(query, limit)
        without = pages.FOR_PEOPLE if for_scripts else ()
        hits = [*self._operations(query.strip()), *self._search.find(self._search.corrected(query), limit, without)]
        return [*{hit.page: hit for hit in hits}.values()][:limit]

    def _operations(self, key: str) -> Iterator[Hit]:
        """Yield the functions for an operation, such as ``GET /pets``."""
        for name, more in self._documents():
            if named := more.named(key):
                yield Hit(str(Address(name, named)), self._outlines.of(name).functions[named].summary, "")

    @lazy
    def _search(self) -> Search:
        """The search in guides and Python functions, and in the functions of each OpenAPI document."""
        own = Index.of(entries_of(self._catalog, self._outlines))
        others = [more.index for _, more in self._documents()]
        owners = {str(Address(name)): owner for name in self._catalog.names() if (owner := self._owner(name))}
        meanings = meanings_of(self._catalog, self._outlines)
        return Search([own, *others], meanings, owners, Index.of(entries_of_guides()))

    def _owner(self, name: str) -> Owner | None:
        """Return an integration's names, the prefix of its functions too."""
        try:
            outline = self._outlines.of(name)
        except PluginError:
            return None
        names = [frozenset(words_in(each)) for each in (name.rpartition(".")[2], outline.prefix) if each]
        is_written = any(not sketch.section for sketch in outline.functions.values())
        return Owner(names, root_and_name(name)[0] in FLAT or bool(self._catalog.accounts(name)), is_written)

    def _documents(self) -> Iterator[tuple[str, More]]:
        for name in self._catalog.names():
            try:
                more = self._catalog.integration(name).functions.more if self._outlines.has_sections(name) else None
            except PluginError:
                continue
            if more:
                yield name, more

    def read(
        self, page: str, *, detail: str = DEFAULT_DETAIL, budget: int | None = None, for_scripts: bool = False
    ) -> str:
        """Return one or more pages as Markdown.

        Args:
            page: The name of a guide, an integration or a function, in any form that :meth:`Directory.find` accepts; or
                several such names, separated by commas.
            detail: How much to return: ``brief``, ``signatures``, ``types`` (LuaCATS declarations) or ``full``.
            budget: The most characters to return. If the page is longer, it is returned in the fullest detail that
                fits, and the last line says what was left out.
            for_scripts: Whether to leave out the parts of guides that only people need.

        Raises:
            DocNotFound: There is no such page. The hint suggests similar pages.
            BadDocArguments: The detail or the budget is invalid, or too many pages are named.
            PluginError: The integration cannot be loaded.
        """
        page, detail = _checked("page", STRING, page), _checked("detail", _DETAIL, detail)
        budget = None if budget is None else _checked("budget", _BUDGET, budget)
        if parts_of(page) in ([], [""]):
            return self.list(page)
        names = list(dict.fromkeys(name.strip() for name in page.split(",") if name.strip())) or [page]
        if len(names) > MAX_PAGES:
            raise BadDocArguments(f"At most {MAX_PAGES} pages can be read at once, not {len(names)}", param="page")
        return self._pages(names, for_scripts=for_scripts).write(detail, budget)

    def _pages(self, names: Sequence[str], *, for_scripts: bool) -> Page:
        """Join the named pages; functions of one integration become one part, which shows their common types once."""
        found: list[Page] = []
        functions: dict[str, list[str]] = {}
        for name in names:
            if name in pages.NAMES:
                found.append(GuidePage(name, for_scripts=for_scripts))
                continue
            address = self._directory.find(name)
            if address.function is None:
                found.append(self._whole_page(address))
            elif address.integration in functions:
                functions[address.integration].append(address.function)
            else:
                functions[address.integration] = [address.function]
                found.append(self._functions_page(address.integration, functions[address.integration]))
        return found[0] if len(found) == 1 else SeveralPages(found)

    def _whole_page(self, address: Address) -> Page:
        """Return the page of an address that names no function."""
        name, integration = address.integration, self._catalog.integration(address.integration)
        more = integration.functions.more
        if more and address.record and (record := more.record(address.record)):
            return RecordPage(integration, record)
        outline = in_sections(integration)
        if outline and address.section:
            return SectionPage(integration, address.section, sections_of(outline)[address.section])
        document = markdown.read(self._catalog.prose(name) or "")
        accounts, are_simulated = self._catalog.accounts(name), self._catalog.invents_accounts(name)
        page = IntegrationPage(integration, accounts, are_simulated, document)
        if outline and has_page_of_sections(outline):
            return SectionsPage(integration, outline, page.opening(), document.introduction)
        return page

    def _functions_page(self, name: str, functions: Sequence[str]) -> Page:
        document = markdown.read(self._catalog.prose(name) or "")
        return FunctionsPage(self._catalog.integration(name), functions, document)


def _search_arguments(query: object, limit: object) -> tuple[str, int]:
    words: str = _checked("query", STRING, query)
    most: int = _checked("limit", _LIMIT, limit)
    if not words_of(words):
        raise BadDocArguments("A search needs at least one word", param="query")
    return words, most


def _checked(name: str, kind: Type, value: object) -> Any:
    try:
        return kind.accept(value)
    except Mismatch as mismatch:
        # For instance: limit must be an integer in 1..100, not 0
        raise BadDocArguments(f"{name} {mismatch.problem}", param=name) from None


class Verb(NamedTuple):
    """A documentation function that scripts can call.

    Args:
        name: The name in Lua, such as ``lua_read_doc``.
        subject: The name of the first argument, such as ``page``.
        options: The keys that are allowed in the second argument, a table of options.
        example: A valid call, for messages.
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

NAMES = {verb: details.name for verb, details in VERBS.items()}


def answer(library: Library, verb: str, given: Sequence[Any]) -> str:
    """Return the text that a documentation function returns to a script.

    ``given`` is a string and, optionally, a table of options; or one table that contains both.

    Raises:
        BadDocArguments: The arguments do not have this form.
        DocNotFound: There is no such page.
        PluginError: The integration cannot be loaded.
    """
    if verb not in VERBS:
        raise BadDocArguments(f"There is no documentation function {verb[:80]!r}")
    subject, options = _read(VERBS[verb], given)
    if verb == "list":
        return library.list(subject)
    if verb == "search":
        return library.search(subject, for_scripts=True, **options)
    return library.read(subject, for_scripts=True, **options)


def _read(verb: Verb, given: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """Return the first argument, or None if it is missing, and the options."""
    subject, options, *surplus = [None if each in ([], {}) else each for each in [*given, None, None]]
    if isinstance(subject, Mapping) and options is None:
        options = {name: value for name, value in subject.items() if name != verb.subject}
        subject = subject.get(verb.subject)
    fits = isinstance(subject, (str, type(None))) and isinstance(options, (Mapping, type(None)))
    example = f"for example {verb.example}"
    if not fits or any(each is not None for each in surplus):
        raise BadDocArguments(f"{verb.name} takes a string, then a table of options", hint=example)
    for name in options or {}:
        if name not in verb.options:
            hint = f"its parameters are {', '.join([verb.subject, *verb.options])}"
            raise BadDocArguments(f"{verb.name} has no option {name!r}", param=name, hint=hint)
    if subject is None and verb.name != NAMES["list"]:
        raise BadDocArguments(f"{verb.name} needs a {verb.subject}, as a string", hint=example)
    return subject, dict(options or {})
