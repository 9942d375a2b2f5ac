"""The search: finds the pages that match a query, the best first, with SQLite's full-text search (FTS5)."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import islice, pairwise
from math import log
from typing import TYPE_CHECKING, NamedTuple

from kosmolua.docs import markdown, pages
from kosmolua.docs.outline import Integrations, Outline, Outlines, Sketch
from kosmolua.docs.pages import Address, GuidePage
from kosmolua.docs.vocabulary import CHANGES, MEANINGS, PHRASES, content_words, number_in, only_asks, words_in, words_of
from kosmolua.errors import DocNotFound, PluginError
from kosmolua.suggestions import closest

if TYPE_CHECKING:
    from sqlite3 import Connection

DEFAULT_HITS, MAX_HITS = 10, 100
"""How many pages a search returns by default, and at most."""
MAX_CANDIDATES = 100
"""The most entries that are ranked: those that FTS5's own ranking function, bm25, puts first."""
MAX_REMEMBERED = 256
"""How many searches are cached, for scripts that repeat a search."""
MIN_PREFIX = 4
"""The fewest letters of a word that also matches longer words with this beginning."""
SNIPPET_WORDS = 14

COLUMN_WEIGHTS = {"names": 1.0, "summary": 0.7, "parts": 0.6, "text": 0.2, "code": 0.2}
"""The weight of a word, by the column in which it is found."""
MEANING_WEIGHTS = {"names": 0.9, "summary": 0.55, "parts": 0.35, "text": 0.1}
"""The weight of a word that is found through a synonym, by column."""
PREFIX_WEIGHT = 0.8
"""The weight of a longer word on a page that begins with a word of the query, relative to the word itself."""
STATE_WEIGHT = 0.8
"""The weight of a word in the query that states a condition, such as ``suspended``, relative to other words."""
SAID_WEIGHT = 1.5
"""The bonus for a function from an OpenAPI document whose summary contains only words of the query."""
PAIR_WEIGHT = 0.4
"""The bonus for a summary that begins like the query, and for each pair of adjacent words that it shares with it."""
COVERAGE_WEIGHT = 0.4
"""The bonus for a name that contains only words of the query."""
MIN_RARITY = 0.3
"""The weight of a word that is in nearly every entry, relative to a rare word."""
GUIDE_WEIGHT = 0.8
"""The weight of a page that is not about one function."""
UNLIKELY_WEIGHT = 0.7
"""The weight of a function that changes something if the query asks for no change, and of one that changes
nothing if the query begins with a verb of change.
"""
NUMBER_WEIGHT = 0.2
"""The bonus for a function that lists if the query is in the plural, and for one that gets if it is in the singular."""

_TABLES = f"""
create virtual table entries using fts5(
    page unindexed, {", ".join(COLUMN_WEIGHTS)}, effect unindexed, tokenize='porter unicode61'
);
create virtual table meanings using fts5(words unindexed, said, tokenize='porter unicode61');
"""


class IndexEntry(NamedTuple):
    """An entry of the search index: one page.

    Args:
        page: The name of the page.
        names: The words that name its subject, such as the names of an integration and a function.
        summary: One sentence about the subject.
        parts: The names of a function's parameters, or the headings of a guide.
        text: Everything else on the page, in Markdown.
        effect: The effect of a function; empty for other pages.
    """

    page: str
    names: str
    summary: str
    parts: str
    text: str
    effect: str = ""


class Hit(NamedTuple):
    """A page that a search found; the snippet, if not empty, shows words of the query in its text."""

    page: str
    summary: str
    snippet: str


class Index:
    """A full-text index in SQLite, see https://sqlite.org/fts5.html. Several threads can use one index.

    Args:
        entries: The entries. Hits with equal scores are returned in this order.
        meanings: Pairs: words in the entries, and their synonyms in queries, separated by spaces.

    Raises:
        DocNotFound: This Python has no SQLite with FTS5.
    """

    def __init__(self, entries: Iterable[IndexEntry], meanings: Iterable[tuple[str, str]] = MEANINGS) -> None:
        self._open(_connect())
        self._database.execute("begin")
        fill(self._database, entries, meanings)
        self._database.execute("commit")

    @classmethod
    def over(cls, database: Connection, owner: str) -> Index:
        """Return an index over a database that has the tables and entries of one integration.

        ``owner``, its name, counts among the names of each entry, although the database does not store it there.
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
        """Return the best hits, the best first. A hit contains a word of the query, or a synonym; its page is not in
        ``without``.
        """
        return [hit for _, hit in islice(self.scored(query, without), limit)]

    def scored(self, query: str, without: Collection[str] = ()) -> Iterator[tuple[float, Hit]]:
        """Yield score and hit, the best first. Scores of different indexes can be compared."""
        with self._lock:
            rows, expression = self._rank(query)
        for row, score in rows:
            with self._lock:
                hit = self._hit(row, expression)
            if hit.page not in without:
                yield score, hit

    def _ranked(self, query: str) -> tuple[list[tuple[int, float]], str]:
        """Rank the entries that match a query."""
        terms = [(word, self._meant_by(word)) for word in words_of(query)]
        groups = [" OR ".join([_prefix(word), *meant]) for word, meant in terms]
        expression = " OR ".join(groups)
        effects, scores = self._candidates(expression, " AND ".join(f"({group})" for group in groups))
        for word, meant in terms:
            for row, weight in self._ranked_by(word, meant, scores).items():
                scores[row] += weight
        if number := number_in(query):
            for row in self._weights(number, (), scores):
                scores[row] += NUMBER_WEIGHT
        likelihood = _likelihood(query, terms)
        for row, effect in effects.items():
            scores[row] *= likelihood.get(effect, likelihood["write"])
        ranked = sorted(scores.items(), key=lambda each: (-each[1], each[0]))
        return (self._of_owner(query, ranked) if self._owner else ranked), expression

    def _of_owner(self, query: str, ranked: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Rank the entries of one integration again, by how similar their summaries are to the query.

        A thousand entries can contain the same words of the query. The scores stay the same, so that they can be
        compared with those of other indexes: the best score goes to the entry that is now first, and so on.
        """
        asked = [word for word in content_words(query) if word not in self._owner]
        likely = {row: score + self._likeness(row, asked) for row, score in ranked}
        order = sorted(likely, key=lambda row: (-likely[row], row))
        return [(row, score) for row, (_, score) in zip(order, ranked, strict=True)]

    def _likeness(self, row: int, asked: Sequence[str]) -> float:
        """Return how similar the summary of an entry is to a query: words, first words and pairs of words in common."""
        (summary,) = self._database.execute("select summary from entries where rowid = ?", (row,)).fetchone()
        said = content_words(summary)
        share = sum(word in asked for word in said) / len(said) if said else 0
        pairs = {*pairwise(said)} & {*pairwise(asked)}
        return SAID_WEIGHT * share + PAIR_WEIGHT * ((said[:1] == asked[:1]) + len(pairs))

    def _ranked_by(self, word: str, meant: Sequence[str], candidates: Collection[int]) -> dict[int, float]:
        """Return how much a word adds to the score of each entry, by row number: the rarer, the more."""
        if word in self._owner:
            return dict.fromkeys(candidates, COLUMN_WEIGHTS["names"] * MIN_RARITY)
        weights = self._weights(word, meant, candidates)
        rarity = _rarity(sum(weight >= COLUMN_WEIGHTS["parts"] for weight in weights.values()), self._size)
        return {row: weight * rarity for row, weight in weights.items()}

    def _corrected(self, query: str) -> str:
        """Replace each word that no entry contains by the most similar one of an entry."""
        return corrected(query, [self])

    def _meant_by(self, word: str) -> list[str]:
        """Return an FTS5 expression for each meaning of a word; of several words, all must be found."""
        rows = self._database.execute("select words from meanings where meanings match ?", (_literal(word),))
        meant = [" AND ".join(map(_literal, words.split())) for (words,) in rows if words != word]
        return [f"({each})" for each in dict.fromkeys(meant)]

    def _candidates(self, any_word: str, every_word: str) -> tuple[dict[int, str], dict[int, float]]:
        """Return the entries to rank: if many contain every word, only these, for speed."""
        rows: list[tuple[int, str, str]] = []
        for expression in filter(None, (every_word, any_word)):
            if len(rows) < MAX_CANDIDATES:
                rows = self._database.execute(_CANDIDATES, (expression,)).fetchall()
        effects = {row: effect for row, _, effect in rows}
        return effects, {row: COVERAGE_WEIGHT * self._coverage(names, any_word) for row, names, _ in rows}

    def _coverage(self, marked: str, query: str) -> float:
        """Return which share of an entry's names, the owner counted twice, is in a query, from 0 to 1."""
        owned = 2 * sum(_literal(word) in query for word in self._owner)
        return (marked.count(_MARK) + owned) / max(1, len(words_in(marked)) + 2 * len(self._owner))

    def _weights(self, word: str, meant: Sequence[str], candidates: Iterable[int]) -> dict[int, float]:
        """Return the weight of a word in each entry, by row number: that of the best column in which it or a synonym
        stands.
        """
        found: dict[int, float] = {}
        ways = [(_literal(word), COLUMN_WEIGHTS, STATE_WEIGHT if word.endswith("ed") else 1.0)]
        if len(word) >= MIN_PREFIX:
            ways.append((_prefix(word), COLUMN_WEIGHTS, PREFIX_WEIGHT))
        if meant:
            ways.append((" OR ".join(meant), MEANING_WEIGHTS, 1.0))
        for expression, weights, factor in ways:
            for column, weight in weights.items():
                statement = f"select rowid from entries where entries match ? and +rowid in ({_numbers(candidates)})"
                for (row,) in self._database.execute(statement, (f"{column}: ({expression})",)):
                    found[row] = max(found.get(row, 0.0), weight * factor)
        return found

    def _hit(self, row: int, expression: str) -> Hit:
        page, summary, snippet = self._database.execute(_HIT, (expression, row)).fetchone()
        return Hit(page, summary, " ".join(snippet.replace(_MARK, "").split()) if _MARK in snippet else "")

    def knows(self, word: str) -> bool:
        with self._lock:
            return word in self._owner or self._finds(word)

    def _finds(self, word: str) -> bool:
        matches = "select 1 from entries where entries match ? limit 1"
        return bool(self._meant_by(word) or self._database.execute(matches, (_prefix(word),)).fetchone())

    @cached_property
    def _size(self) -> int:
        size: int = self._database.execute("select count(*) from entries").fetchone()[0]
        return size

    @cached_property
    def words(self) -> frozenset[str]:
        """All words in names and summaries, and all synonyms."""
        with self._lock:
            statement = "select names || ' ' || summary from entries union select said from meanings"
            texts = self._database.execute(statement).fetchall()
        return frozenset(word for (text,) in texts for word in words_in(text))


def corrected(query: str, indexes: Sequence[Index]) -> str:
    """Replace each word that no index contains by the most similar known word, or remove it if there is none."""
    unknown = [word for word in words_of(query) if not any(index.knows(word) for index in indexes)]
    for word in unknown:
        near = closest(word, _all_words(indexes), 1)
        query = re.sub(rf"(?i)\b{word}\b ?", f"{near[0]} " if near else "", query)
    return query.strip() if unknown else query


def _all_words(indexes: Sequence[Index]) -> frozenset[str]:
    said = (word for phrase in PHRASES for word in words_in(phrase))
    return frozenset(said).union(*(index.words for index in indexes))


_HOW_TO_LIST = "lua_list_docs() and `kosmolua docs` list the pages"
_MARK = "\x01"
_WORD = re.compile(r'"(\w+)"')
_MARKUP = re.compile(r"[`*|#[]")
_CANDIDATES = f"""
select rowid, highlight(entries, 1, '{_MARK}', ''), effect from entries where rowid in (
    select rowid from entries where entries match ?1 and rank match 'bm25(0, 10, 9, 4, 1, 0, 0)'
    order by rank limit {MAX_CANDIDATES}
) and entries match ?1"""
_HIT = f"""
select page, summary, snippet(entries, 4, '{_MARK}', '', '...', {SNIPPET_WORDS})
from entries where entries match ? and rowid = ?"""


def _connect() -> Connection:
    """Open a database in memory, with the empty tables of a search index."""
    try:
        import sqlite3
    except ImportError:
        problem = "The documentation cannot be searched, since this Python has no module sqlite3"
        raise DocNotFound(problem, hint=_HOW_TO_LIST) from None
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    make_tables(database)
    return database


def make_tables(database: Connection) -> None:
    """Create the empty tables of a search index.

    Raises:
        DocNotFound: This SQLite has no FTS5.
    """
    from sqlite3 import OperationalError

    try:
        database.executescript(_TABLES)
    except OperationalError as error:
        problem = f"The documentation cannot be searched, since this Python's SQLite has no FTS5 ({error})"
        raise DocNotFound(problem, hint=_HOW_TO_LIST) from None


def fill(database: Connection, entries: Iterable[IndexEntry], meanings: Iterable[tuple[str, str]] = MEANINGS) -> None:
    """Write entries and pairs of words and synonyms into the tables of a search index."""
    database.executemany("insert into entries values (?, ?, ?, ?, ?, ?, ?)", map(_row, entries))
    database.executemany("insert into meanings values (?, ?)", meanings)


def _row(entry: IndexEntry) -> tuple[str, ...]:
    """Return an entry as a row of ``entries``: ``text`` without markup, and ``code`` with it if there is any."""
    *others, text, effect = entry
    if not _MARKUP.search(text):
        return (*others, text, "", effect)
    return (*others, markdown.plain(text), text, effect)


def _literal(word: str) -> str:
    return f'"{word}"'


def _prefix(word: str) -> str:
    return _literal(word) + ("*" if len(word) >= MIN_PREFIX else "")


def _numbers(rows: Iterable[int]) -> str:
    return ",".join(map(str, rows))


def _likelihood(query: str, terms: Sequence[tuple[str, Sequence[str]]]) -> dict[str, float]:
    """Return a factor for the scores of each effect: a question seldom means a function that writes, a verb of change
    often.
    """
    said = [[[word], *(_WORD.findall(each) for each in meant)] for word, meant in terms]
    is_asked = only_asks(query) or not any(named[0] in CHANGES for meanings in said for named in meanings)
    begins_with_change = bool(said) and any(len(named) == 1 and named[0] in CHANGES for named in said[0])
    return {
        "": GUIDE_WEIGHT,
        "read": UNLIKELY_WEIGHT if begins_with_change and not is_asked else 1.0,
        "write": UNLIKELY_WEIGHT if is_asked else 1.0,
    }


def _rarity(found: int, total: int) -> float:
    """Return the weight of a word that is in ``found`` of ``total`` entries, at most 1."""
    return max(MIN_RARITY, log((total + 1) / (found + 1)) / log(total + 1)) if total else 1.0


def meanings_of(catalog: Integrations, outlines: Outlines) -> Iterator[tuple[str, str]]:
    """Yield words with synonyms: the general ones, and then those of each integration."""
    yield from MEANINGS
    for name in catalog.names():
        try:
            words = outlines.of(name).words
        except PluginError:
            continue
        for said, word in words.items():
            yield " ".join(words_in(word)), said


def entries_of(catalog: Integrations, outlines: Outlines) -> Iterator[IndexEntry]:
    """Yield an entry for each guide, integration and Python function, without integrations that cannot be loaded."""
    for name in pages.NAMES:
        page = GuidePage(name)
        sections = markdown.read(page.full()).sections
        text = "\n\n".join(f"{heading}.\n{body}" for heading, body in sections.items())
        yield IndexEntry(name, name, page.summary, " ".join(sections), text)
    for name in catalog.names():
        try:
            outline, prose = outlines.of(name), catalog.prose(name)
        except PluginError:
            continue
        yield from _integration(name, outline, prose or "")


def entries_for(outline: Outline) -> Iterator[IndexEntry]:
    """Yield an entry for each Python function of an integration, under its short name; those that read come first."""
    for short, sketch in _reads_first(outline):
        yield IndexEntry(short, short, sketch.summary, sketch.parameters, sketch.words, sketch.effect)


def _reads_first(outline: Outline) -> list[tuple[str, Sketch]]:
    """Return the Python functions: first those that read."""
    own = [(short, sketch) for short, sketch in outline.functions.items() if not sketch.section]
    return sorted(own, key=lambda item: item[1].effect != "read")


def _integration(name: str, outline: Outline, prose: str) -> Iterator[IndexEntry]:
    """Yield the entry of an integration, and then one for each Python function."""
    document = markdown.read(prose)
    written: dict[str | None, str] = {None: document.introduction}
    for heading, body in document.sections.items():
        about = outline.find(heading)
        written[about] = f"{written.get(about, '')}\n{body}"
    page = str(Address(name))
    yield IndexEntry(page, f"{name} {document.title}", outline.about, "", written[None])
    for short, sketch in _reads_first(outline):
        text = f"{sketch.words}\n{written.get(short, '')}"
        yield IndexEntry(
            f"{page}.{short}", f"{name} {sketch.full_name}", sketch.summary, sketch.parameters, text, sketch.effect
        )
