"""Search: which pages to read for a few words, best first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from kosmolua.docs import markdown, pages
from kosmolua.docs.lookup import Address
from kosmolua.docs.outline import Outline, Outlines, Shelf
from kosmolua.docs.pages import GuidePage
from kosmolua.docs.ranking import Entry, Folded, Hit, Term, best, folded, terms_of
from kosmolua.errors import PluginError

if TYPE_CHECKING:
    from sqlite3 import Connection


MOST_CANDIDATES = 100
"""Entries that FTS5 hands to the ranking."""


class Index(Protocol):
    """Finds entries by words."""

    def find(self, query: str, limit: int) -> list[Hit]:
        """Return at most ``limit`` entries that hold words of a query, those first that hold most of them."""


class FullTextMissing(Exception):
    """This Python has no SQLite, or one without FTS5."""


def fts5() -> Connection:
    """Return a database in memory with an empty full-text table, see https://sqlite.org/fts5.html.

    Raises:
        FullTextMissing: There is no FTS5.
    """
    try:
        import sqlite3
    except ImportError as error:
        raise FullTextMissing(str(error)) from None
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    columns = "page unindexed, names, summary, text"
    try:
        database.execute(f"create virtual table entries using fts5({columns}, tokenize='unicode61')")
    except sqlite3.OperationalError as error:
        raise FullTextMissing(str(error)) from None
    return database


def index_of(entries: Iterable[Entry], open_database: Callable[[], Connection] = fts5) -> Index:
    """Return the best index that this Python has: SQLite's FTS5, else a plain one."""
    try:
        return FullText(entries, open_database())
    except FullTextMissing:
        return Plain(entries)


class FullText:
    """An index by SQLite's FTS5, which picks what is ranked. Any thread may use it.

    Args:
        entries: What can be found.
        database: As :func:`fts5` returns it.
    """

    def __init__(self, entries: Iterable[Entry], database: Connection) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._add(entries)

    def _add(self, entries: Iterable[Entry]) -> None:
        self._database.execute("begin")
        self._database.executemany("insert into entries values (?, ?, ?, ?)", entries)
        self._database.execute("commit")

    def find(self, query: str, limit: int) -> list[Hit]:
        """Return at most ``limit`` entries that hold words of a query, those first that hold most of them."""
        terms = terms_of(query)
        return best(map(folded, self._candidates(terms)), terms, limit)

    def _candidates(self, terms: Sequence[Term]) -> list[Entry]:
        """Return what holds every word where that is plenty, since this is found sooner; else what holds any."""
        words = [f"({_any_of(term)})" for term in terms]
        if not words:
            return []
        every = self._match(" AND ".join(words))
        return every if len(every) == MOST_CANDIDATES else self._match(" OR ".join(words))

    def _match(self, expression: str) -> list[Entry]:
        statement = f"""
            select page, names, summary, text from entries where rowid in (
                select rowid from entries where entries match ? and rank match 'bm25(0, 10, 4, 1)'
                order by rank limit {MOST_CANDIDATES}
            ) order by rowid"""
        with self._lock:
            return [Entry(*row) for row in self._database.execute(statement, (expression,))]


def _any_of(term: Term) -> str:
    """Return the expression that finds a word by any of its parts: a beginning is one without a space behind it."""
    shortest = [part for part in term if not part.startswith(tuple(term.keys() - {part}))]
    return " OR ".join(f'"{part.strip()}"' + ("" if part.endswith(" ") else "*") for part in shortest)


class Plain:
    """An index without SQLite, which ranks everything."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: list[Folded] = list(map(folded, entries))

    def find(self, query: str, limit: int) -> list[Hit]:
        """Return at most ``limit`` entries that hold words of a query, those first that hold most of them."""
        return best(self._entries, terms_of(query), limit)


def entries_of(shelf: Shelf, outlines: Outlines) -> Iterator[Entry]:
    """Yield an entry for each guide, integration and function. An integration that cannot be loaded has none."""
    for name in pages.NAMES:
        yield _guide(GuidePage(name))
    for name in shelf.names():
        try:
            outline, prose = outlines.of(name), shelf.prose(name)
        except PluginError:
            continue
        yield from _integration(name, outline, prose or "")


def _guide(page: GuidePage) -> Entry:
    sections = markdown.read(page.full()).sections
    text = "\n\n".join(f"{heading}.\n{body}" for heading, body in sections.items())
    return Entry(page.name, f"{page.name} {' '.join(sections)}", page.summary, text)


def _integration(name: str, outline: Outline, markdown_text: str) -> Iterator[Entry]:
    document = markdown.read(markdown_text)
    written: dict[str | None, str] = {None: document.introduction}
    for heading, body in document.sections.items():
        about = outline.find(heading)
        written[about] = f"{written.get(about, '')}\n{body}"
    page = str(Address(name))
    yield Entry(page, f"{name} {document.title}", outline.about, written[None])
    for short, (full_name, _, summary, words) in outline.functions.items():
        prose = written.get(short, "")
        yield Entry(f"{page}.{short}", f"{name} {full_name}", summary, f"{words}\n{prose}")
