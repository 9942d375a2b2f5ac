"""Search: the pages that answer a few words, best first."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from kosmolua.docs import markdown, pages
from kosmolua.docs.outline import Integrations, Outline, Outlines, Sketch
from kosmolua.docs.pages import Address, GuidePage
from kosmolua.docs.vocabulary import MEANINGS, words_in, words_of
from kosmolua.errors import DocNotFound, PluginError
from kosmolua.suggestions import closest

if TYPE_CHECKING:
    from sqlite3 import Connection

DEFAULT_HITS, MAX_HITS = 10, 100
"""How many pages a search returns if no limit is given, and at most."""
MAX_CANDIDATES = 100
"""Entries that are ranked; FTS5's own bm25 picks them."""
MAX_REMEMBERED = 256
"""Searches whose hits are kept, for scripts that ask the same again."""
MIN_PREFIX = 3
"""Letters of a word that stands for longer words too."""
SNIPPET_WORDS = 14

COLUMN_WEIGHTS = {"names": 1.0, "summary": 0.9, "parts": 0.7, "text": 0.3, "code": 0.3}
"""What a word counts, by the column that it is found in."""
MEANING_WEIGHT = 0.8
"""What a word counts that is found by its meaning."""
COVERAGE_WEIGHT = 0.6
"""What it counts that a name has no other words than those of the query."""

_TABLES = f"""
create virtual table entries using fts5(page unindexed, {", ".join(COLUMN_WEIGHTS)}, tokenize='porter unicode61');
create virtual table meanings using fts5(words unindexed, said, tokenize='porter unicode61');
"""


class Entry(NamedTuple):
    """One entry of the index.

    Args:
        page: The page to read.
        names: What it is called.
        summary: One sentence.
        parts: The names of its parameters, or the headings of a guide.
        text: Everything else, in Markdown.
    """

    page: str
    names: str
    summary: str
    parts: str
    text: str


class Hit(NamedTuple):
    """An entry that was found.

    Args:
        page: The page to read.
        summary: The entry's sentence.
        snippet: The part of the entry's text that has words of the query, or nothing.
    """

    page: str
    summary: str
    snippet: str


class Index:
    """A full-text index, see https://sqlite.org/fts5.html. Any thread may use it.

    Args:
        entries: What can be found; of equals the first comes first.
        meanings: Words of the entries, each with what people say for them.

    Raises:
        DocNotFound: This Python has no SQLite, or one without FTS5.
    """

    def __init__(self, entries: Iterable[Entry], meanings: Iterable[tuple[str, str]] = MEANINGS) -> None:
        self._open(_connect())
        self._database.execute("begin")
        fill(self._database, entries, meanings)
        self._database.execute("commit")

    @classmethod
    def over(cls, database: Connection, owner: str) -> Index:
        """Return the index in a database that has been filled.

        Args:
            database: The database.
            owner: The integration that every entry belongs to: its words are in each name, though not in the file.
        """
        index = cls.__new__(cls)
        index._open(database, owner)
        return index

    def _open(self, database: Connection, owner: str = "") -> None:
        self._database = database
        self._owner = words_in(owner)
        self._lock = threading.RLock()
        self._rank = lru_cache(MAX_REMEMBERED)(self._ranked)
        self.corrected = lru_cache(MAX_REMEMBERED)(self._corrected)

    def find(self, query: str, limit: int, without: Collection[str] = ()) -> list[Hit]:
        """Return at most ``limit`` entries that have a word of a query, best first, without some pages."""
        return [hit for _, hit in islice(self.scored(query, without), limit)]

    def scored(self, query: str, without: Collection[str] = ()) -> Iterator[tuple[float, Hit]]:
        """Yield each entry that has a word of a query with its score, best first, without some pages.

        Scores of different indexes can be compared.
        """
        with self._lock:
            rows, expression = self._rank(query)
        for row, score in rows:
            with self._lock:
                hit = self._hit(row, expression)
            if hit.page not in without:
                yield score, hit

    def _ranked(self, query: str) -> tuple[list[tuple[int, float]], str]:
        """Return the candidates for a query, best first, and the expression that finds any of its words."""
        terms = [(word, self._meant_by(word)) for word in words_of(query)]
        groups = [_any_of([word, *meant]) for word, meant in terms]
        expression = " OR ".join(groups)
        scores = self._candidates(expression, " AND ".join(f"({group})" for group in groups))
        owned = sum(COLUMN_WEIGHTS["names"] for word, _ in terms if word in self._owner)
        for word, meant in terms:
            for row, weight in self._weights(word, meant, scores).items():
                scores[row] += 0 if word in self._owner else weight
        return [
            (row, score + owned) for row, score in sorted(scores.items(), key=lambda each: (-each[1], each[0]))
        ], expression

    def _corrected(self, query: str) -> str:
        """Return a query with the nearest known word in place of each that nothing is found for."""
        return corrected(query, [self])

    def _meant_by(self, word: str) -> list[str]:
        rows = self._database.execute("select words from meanings where meanings match ?", (_literal(word),))
        return [other for other in dict.fromkeys(" ".join(words for (words,) in rows).split()) if other != word]

    def _candidates(self, any_word: str, every_word: str) -> dict[int, float]:
        """Return the entries to rank, each with what the part of its name that is in the query counts.

        Entries with every word are enough if there are many, and are found sooner.
        """
        rows: list[tuple[int, str]] = []
        for expression in filter(None, (every_word, any_word)):
            if len(rows) < MAX_CANDIDATES:
                rows = self._database.execute(_CANDIDATES, (expression,)).fetchall()
        return {row: COVERAGE_WEIGHT * self._coverage(names, any_word) for row, names in rows}

    def _coverage(self, marked: str, query: str) -> float:
        """Return the share of a name's words that carry a mark; the owner's stand twice in each name."""
        owned = 2 * sum(_literal(word) in query for word in self._owner)
        return (marked.count(_MARK) + owned) / max(1, len(words_in(marked)) + 2 * len(self._owner))

    def _weights(self, word: str, meant: Sequence[str], candidates: Iterable[int]) -> dict[int, float]:
        """Return the weight of a word in each candidate that contains it: the highest of its columns."""
        found: dict[int, float] = {}
        ways = [(_prefix(word), 1.0), *([(_any_of(meant), MEANING_WEIGHT)] if meant else [])]
        for expression, factor in ways:
            for column, weight in COLUMN_WEIGHTS.items():
                statement = f"select rowid from entries where entries match ? and +rowid in ({_numbers(candidates)})"
                for (row,) in self._database.execute(statement, (f"{column}: ({expression})",)):
                    found[row] = max(found.get(row, 0.0), weight * factor)
        return found

    def _hit(self, row: int, expression: str) -> Hit:
        page, summary, snippet = self._database.execute(_HIT, (expression, row)).fetchone()
        return Hit(page, summary, " ".join(snippet.replace(_MARK, "").split()) if _MARK in snippet else "")

    def knows(self, word: str) -> bool:
        """Return True if something is found for a word."""
        with self._lock:
            return word in self._owner or self._finds(word)

    def _finds(self, word: str) -> bool:
        matches = "select 1 from entries where entries match ? limit 1"
        return bool(self._meant_by(word) or self._database.execute(matches, (_prefix(word),)).fetchone())

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of names and summaries, and all that people say."""
        with self._lock:
            statement = "select names || ' ' || summary from entries union select said from meanings"
            texts = self._database.execute(statement).fetchall()
        return frozenset(word for (text,) in texts for word in words_in(text))


def corrected(query: str, indexes: Sequence[Index]) -> str:
    """Return a query with the nearest known word in place of each that no index finds anything for."""
    words = words_of(query)
    known = [
        [word] if any(index.knows(word) for index in indexes) else closest(word, _all_words(indexes), 1)
        for word in words
    ]
    near = " ".join(word for each in known for word in each)
    return query if near == " ".join(words) else near


def _all_words(indexes: Sequence[Index]) -> frozenset[str]:
    return frozenset().union(*(index.words for index in indexes))


_HOW_TO_LIST = "lua_list_docs() and `kosmolua docs` list the pages"
_MARK = "\x01"
_MARKUP = re.compile(r"[`*|#[]")
_CANDIDATES = f"""
select rowid, highlight(entries, 1, '{_MARK}', '') from entries where rowid in (
    select rowid from entries where entries match ?1 and rank match 'bm25(0, 10, 9, 4, 1, 0)'
    order by rank limit {MAX_CANDIDATES}
) and entries match ?1"""
_HIT = f"""
select page, summary, snippet(entries, 4, '{_MARK}', '', '...', {SNIPPET_WORDS})
from entries where entries match ? and rowid = ?"""


def _connect() -> Connection:
    """Return a database in memory with the empty tables.

    Raises:
        DocNotFound: This Python has no SQLite, or one without FTS5.
    """
    try:
        import sqlite3
    except ImportError:
        raise DocNotFound("This Python cannot search: it has no sqlite3", hint=_HOW_TO_LIST) from None
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    make_tables(database)
    return database


def make_tables(database: Connection) -> None:
    """Make the empty tables of an index in a database.

    Raises:
        DocNotFound: This SQLite has no FTS5.
    """
    from sqlite3 import OperationalError

    try:
        database.executescript(_TABLES)
    except OperationalError as error:
        raise DocNotFound(f"This Python cannot search: its SQLite has no FTS5 ({error})", hint=_HOW_TO_LIST) from None


def fill(database: Connection, entries: Iterable[Entry], meanings: Iterable[tuple[str, str]] = MEANINGS) -> None:
    """Fill the tables of an index."""
    database.executemany("insert into entries values (?, ?, ?, ?, ?, ?)", map(_row, entries))
    database.executemany("insert into meanings values (?, ?)", meanings)


def _row(entry: Entry) -> tuple[str, ...]:
    """Return the columns of an entry: the words of its text apart from the code and marks around them."""
    if not _MARKUP.search(entry.text):
        return (*entry, "")
    return (*entry[:-1], markdown.plain(entry.text), entry.text)


def _literal(word: str) -> str:
    return f'"{word}"'


def _prefix(word: str) -> str:
    return _literal(word) + ("*" if len(word) >= MIN_PREFIX else "")


def _any_of(words: Sequence[str]) -> str:
    """Return the expression that finds any of some words, the first of them also as the beginning of another."""
    return " OR ".join([_prefix(words[0]), *map(_literal, words[1:])])


def _numbers(rows: Iterable[int]) -> str:
    return ",".join(map(str, rows))


def meanings_of(catalog: Integrations, outlines: Outlines) -> Iterator[tuple[str, str]]:
    """Yield words of the documentation, each with what people say for them: the general ones and the integrations'."""
    yield from MEANINGS
    for name in catalog.names():
        try:
            words = outlines.of(name).words
        except PluginError:
            continue
        for said, word in words.items():
            yield " ".join(words_in(word)), said


def entries_of(catalog: Integrations, outlines: Outlines) -> Iterator[Entry]:
    """Yield an entry for each guide, integration and function. An integration that cannot be loaded has none."""
    for name in pages.NAMES:
        page = GuidePage(name)
        sections = markdown.read(page.full()).sections
        text = "\n\n".join(f"{heading}.\n{body}" for heading, body in sections.items())
        yield Entry(name, name, page.summary, " ".join(sections), text)
    for name in catalog.names():
        try:
            outline, prose = outlines.of(name), catalog.prose(name)
        except PluginError:
            continue
        yield from _integration(name, outline, prose or "")


def entries_for(outline: Outline) -> Iterator[Entry]:
    """Yield an entry for each function of an integration, by its short name; functions that read come first."""
    for short, sketch in _reads_first(outline):
        yield Entry(short, short, sketch.summary, sketch.parameters, sketch.words)


def _reads_first(outline: Outline) -> list[tuple[str, Sketch]]:
    """Return the functions that are not in an index of their own, those that read before those that write."""
    own = [(short, sketch) for short, sketch in outline.functions.items() if not sketch.section]
    return sorted(own, key=lambda item: item[1].effect != "read")


def _integration(name: str, outline: Outline, prose: str) -> Iterator[Entry]:
    """Yield the entries of an integration, functions that read before those that write."""
    document = markdown.read(prose)
    written: dict[str | None, str] = {None: document.introduction}
    for heading, body in document.sections.items():
        about = outline.find(heading)
        written[about] = f"{written.get(about, '')}\n{body}"
    page = str(Address(name))
    yield Entry(page, f"{name} {document.title}", outline.about, "", written[None])
    for short, sketch in _reads_first(outline):
        text = f"{sketch.words}\n{written.get(short, '')}"
        yield Entry(f"{page}.{short}", f"{name} {sketch.full_name}", sketch.summary, sketch.parameters, text)
