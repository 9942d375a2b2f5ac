"""Search: which pages to read for a few words, best first."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from sqlite3 import Connection

MOST_WORDS = 8
_COMMON = """
a all an and are by can do does for from how i in is it many me my of on or that the this to what when where which with
"""
COMMON_WORDS = frozenset(_COMMON.split())
"""Left out of a query that has other words."""

NAME_WEIGHT, SUMMARY_WEIGHT, TEXT_WEIGHT = 10.0, 4.0, 1.0
SNIPPET_WORDS = 14
_WORD = re.compile(r"[^\W_]+")
_ENDING = re.compile(r"(?<=\w{3})(ing|ed|es|s)$")


class Entry(NamedTuple):
    """Something that can be found.

    Args:
        page: The page to read.
        names: What it is called.
        summary: One sentence.
        text: Everything else.
    """

    page: str
    names: str
    summary: str
    text: str


class Hit(NamedTuple):
    """An entry that was found.

    Args:
        page: The page to read.
        summary: The entry's sentence.
        snippet: Where in the entry's text the words were found, or nothing.
    """

    page: str
    summary: str
    snippet: str


class Index(Protocol):
    """Finds entries by words."""

    def find(self, query: str, limit: int) -> list[Hit]:
        """Return at most ``limit`` entries that hold all words of a query, then such that hold some, best first."""


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
        database.execute(f"create virtual table entries using fts5({columns}, tokenize='porter unicode61')")
    except sqlite3.OperationalError as error:
        raise FullTextMissing(str(error)) from None
    return database


def index_of(entries: Iterable[Entry], open_database: Callable[[], Connection] = fts5) -> Index:
    """Return the best index that this Python has: SQLite's FTS5, else a plain one."""
    try:
        return FullText(entries, open_database())
    except FullTextMissing:
        return Plain(entries)


def words_of(query: str) -> list[str]:
    """Return the first different words of a query that say something, ``list_services`` being two, in lower case."""
    words = list(dict.fromkeys(_WORD.findall(query.lower())))
    return ([word for word in words if word not in COMMON_WORDS] or words)[:MOST_WORDS]


class FullText:
    """An index by SQLite's FTS5: stemmed words, found by their beginnings, ranked by BM25. Any thread may use it.

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
        """Return at most ``limit`` entries, best first: those that have all words in their names, then all words
        anywhere, then some words in their names; and where there are none of these, some words anywhere."""
        terms = [f'"{word}"*' for word in words_of(query)]
        if not terms:
            return []
        every, some = " AND ".join(terms), " OR ".join(terms)
        hits: dict[str, Hit] = {}
        for expression in (f"names : ({every})", every, f"names : ({some})"):
            if len(hits) < limit:
                hits |= self._match(expression, limit)
        return list((hits or self._match(some, limit)).values())[:limit]

    def _match(self, expression: str, limit: int) -> dict[str, Hit]:
        statement = f"""
            select page, summary, snippet(entries, 3, char(1), '', '...', {SNIPPET_WORDS}) from entries
            where entries match ? and rank match 'bm25(0, {NAME_WEIGHT}, {SUMMARY_WEIGHT}, {TEXT_WEIGHT})'
            order by rank limit ?"""
        with self._lock:
            rows = self._database.execute(statement, (expression, limit)).fetchall()
        return {page: Hit(page, summary, _shown(snippet)) for page, summary, snippet in rows}


def _shown(snippet: str) -> str:
    return " ".join(snippet.replace("\x01", "").split()) if "\x01" in snippet else ""


class Plain:
    """An index without SQLite: the same words and weights, ranked by where they are found."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = [(entry, _columns(entry)) for entry in entries]

    def find(self, query: str, limit: int) -> list[Hit]:
        """Return at most ``limit`` entries that hold all words of a query, then such that hold some, best first."""
        words = [_ENDING.sub("", word) for word in words_of(query)]
        scored = [(_scores(columns, words), entry) for entry, columns in self._entries]
        found = [(scores, entry) for scores, entry in scored if any(scores)]
        found.sort(key=lambda each: (-sum(map(bool, each[0])), -sum(each[0])))
        return [Hit(entry.page, entry.summary, _around(entry.text, words)) for _, entry in found[:limit]]


_Columns = tuple[tuple[float, str], ...]


def _columns(entry: Entry) -> _Columns:
    texts = ((NAME_WEIGHT, entry.names), (SUMMARY_WEIGHT, entry.summary), (TEXT_WEIGHT, entry.text))
    return tuple((weight, " " + " ".join(_WORD.findall(text.lower()))) for weight, text in texts)


def _scores(columns: _Columns, words: Sequence[str]) -> list[float]:
    return [max((weight for weight, text in columns if f" {word}" in text), default=0.0) for word in words]


def _around(text: str, words: Sequence[str]) -> str:
    shown = text.split()
    folded = [_WORD.findall(word.lower()) for word in shown]
    for place, pieces in enumerate(folded):
        if any(piece.startswith(word) for piece in pieces for word in words):
            start = max(0, place - SNIPPET_WORDS // 2)
            snippet = " ".join(shown[start : start + SNIPPET_WORDS])
            return ("..." if start else "") + snippet + ("..." if start + SNIPPET_WORDS < len(shown) else "")
    return ""
