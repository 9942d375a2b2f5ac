"""The search: finds the pages that match a query, the best first.

SQLite's full-text search, https://sqlite.org/fts5.html, finds the candidates. Their rank has two parts: how much of the
query is found in an entry, and how much of the entry's name or summary is asked for.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from itertools import islice
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

from kosmolua.docs import markdown, pages
from kosmolua.docs.outline import Integrations, Outline, Outlines, Sketch
from kosmolua.docs.pages import Address, GuidePage
from kosmolua.docs.vocabulary import (
    CHANGES,
    COMMON_WORDS,
    MEANINGS,
    PHRASES,
    READING,
    implied_verbs,
    is_order,
    only_asks,
    stem,
    undone,
    words_in,
    words_of,
)
from kosmolua.errors import DocNotFound, PluginError
from kosmolua.schema.effects import EFFECTS
from kosmolua.suggestions import closest

if TYPE_CHECKING:
    from sqlite3 import Connection

DEFAULT_HITS, MAX_HITS = 10, 100
"""How many pages a search returns by default, and at most."""
MAX_CANDIDATES = 100
"""The most entries of an index that are ranked: those that FTS5's own ranking function, bm25, puts first."""
MAX_REMEMBERED = 256
"""How many searches are cached, for scripts that repeat a search."""
MAX_READ = 4096
"""How many entries of an index are cached."""
MIN_PREFIX = 4
"""The fewest letters of a word that also matches longer words with this beginning."""
MIN_LIKENESS = 0.8
"""How similar a word must be to an unknown one to replace it, from 0 to 1."""
SNIPPET_WORDS = 14
GUIDE = "guide"
"""What stands for the effect in an entry of a guide."""

COLUMN_WEIGHTS = {"names": 1.0, "summary": 0.9, "parts": 0.6, "text": 0.3}
"""The weight of a word, by the best column in which it is found."""
MEANING_WEIGHTS = {"names": 0.9, "summary": 0.6, "parts": 0.35, "text": 0.1}
"""The weight of a word that is found through a synonym."""
MIN_RARITY = 0.2
"""The weight of a word that is in nearly every entry, relative to a rare word."""
MIN_SHARE = 0.2
"""How much of a query must be found in an entry."""
PRECISION_WEIGHT = 0.75
"""The bonus for an entry whose name or summary has only words of the query."""
NAMED_WEIGHT = 0.5
"""The bonus for the entries of an integration that the query names."""
UNCONFIGURED_WEIGHT = 0.8
"""The weight of the entries of an integration without an account, if others have one."""
DOCUMENT_WEIGHT = 0.8
"""The weight of a function from an OpenAPI document, beside those of the same integration in Python."""
GUIDE_WEIGHT, PROGRAM_POWER, MIN_PROGRAM, MAX_PROGRAM = 0.6, 0.15, 0.6, 1.4
"""How much words that are frequent in the guides, and rare elsewhere, speak for a guide."""
UNLIKELY_WEIGHT = 0.7
"""The weight of a function that changes something if the query is a question or begins with a verb of reading, and of
one that changes nothing if the query begins with a verb of change.
"""
UNASKED_WEIGHT = 0.85
"""The weight of a function that changes something if the query has no verb at all, as in ``text embeddings``."""

_TABLES = """
create virtual table entries using fts5(
    page unindexed, names, summary, parts, text, code, effect unindexed, tokenize='porter unicode61'
);
"""


class IndexEntry(NamedTuple):
    """An entry of the search index: one page, or a section of it.

    Args:
        page: The name of the page.
        names: The words that name its subject, such as the names of an integration and a function.
        summary: One sentence about the subject.
        parts: The names of a function's parameters, or the heading of a section.
        text: Everything else, in Markdown.
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


class Owner(NamedTuple):
    """An integration: the words of its names, whether it has an account, and whether it has functions in Python."""

    names: Sequence[frozenset[str]]
    is_configured: bool = True
    is_written: bool = True

    def said(self, words: frozenset[str]) -> frozenset[str]:
        """Return the words of its names that are all among some words."""
        return frozenset().union(*(name for name in self.names if name <= words))


NOBODY = Owner(())


class _IndexedEntry(NamedTuple):
    """An entry, as the ranking needs it: the stems of the words in each column."""

    page: str
    summary: str
    effect: str
    is_document: bool
    stems: Mapping[str, frozenset[str]]


class _Term(NamedTuple):
    """A word of a query: its stem, its rarity, that of its synonyms together, and the stems of each of these."""

    word: str
    stem: str
    rarity: float
    vagueness: float
    meanings: Sequence[tuple[Sequence[str], frozenset[str]]]

    @property
    def expression(self) -> str:
        """The word, longer ones that begin with it, or a synonym, in the language of FTS5."""
        meant = [f"({' AND '.join(map(_literal, words))})" for words, _ in self.meanings]
        return f"({' OR '.join([_prefix(self.word), *meant])})"

    @property
    def stems(self) -> frozenset[str]:
        return frozenset({self.stem}).union(*(stems for _, stems in self.meanings))

    def weight(self, stems: Mapping[str, frozenset[str]]) -> float:
        """Return how much the word counts for an entry."""
        best = 0.0
        for column, words in stems.items():
            takes_longer = len(self.word) >= MIN_PREFIX and column != "text"
            if self.stem in words or (takes_longer and any(word.startswith(self.stem) for word in words)):
                best = max(best, self.rarity * COLUMN_WEIGHTS[column])
            if any(meant <= words for _, meant in self.meanings):
                best = max(best, self.vagueness * MEANING_WEIGHTS[column])
        return best


class Index:
    """The entries of one database. Several threads can use one index.

    The database has the table that :func:`make_tables` creates. ``owner`` is the page of the integration to which all
    entries belong, if these have short names.
    """

    def __init__(self, database: Connection, owner: str = "") -> None:
        self._database = database
        self.owner = owner
        self._owner = f"{owner}." if owner else ""
        self._lock = threading.Lock()
        self.read = lru_cache(MAX_READ)(self._read)
        self.count = lru_cache(MAX_READ)(self._count)

    @classmethod
    def of(cls, entries: Iterable[IndexEntry]) -> Index:
        """Return an index of these entries, in memory; raise DocNotFound if this Python has no SQLite with FTS5."""
        database = _connect()
        database.execute("begin")
        fill(database, entries)
        database.execute("commit")
        return cls(database)

    def candidates(self, terms: Sequence[_Term]) -> Iterator[tuple[int, _IndexedEntry]]:
        """Yield the entries to rank, with their numbers: if many have every word, only these, for speed."""
        literal, all_ways = [_prefix(term.word) for term in terms], [term.expression for term in terms]
        rows = {row for (row,) in self._select(_CANDIDATES, " AND ".join(literal))}
        for expression in (" AND ".join(all_ways), " OR ".join(all_ways)) if len(rows) < MAX_CANDIDATES else ():
            rows.update(row for (row,) in self._select(_CANDIDATES, expression))
        return ((row, self.read(row)) for row in sorted(rows))

    def hit(self, row: int, terms: Sequence[_Term]) -> Hit:
        expression = " OR ".join(term.expression for term in terms)
        [(page, summary, snippet)] = self._select(_HIT, expression, row)
        shown = " ".join(snippet.replace(_MARK, "").split()) if _MARK in snippet else ""
        return Hit(self._owner + page, summary, shown)

    def _read(self, row: int) -> _IndexedEntry:
        [(page, summary, effect, *texts)] = self._select(_ENTRY, row)
        stems = {column: _stems(text) for column, text in zip(COLUMN_WEIGHTS, texts, strict=True)}
        if effect == GUIDE and texts[0] != page:  # a section, of which the summary of the guide says less
            stems["parts"] |= stems.pop("summary")
        return _IndexedEntry(self._owner + page, summary, effect, bool(self._owner), stems)

    def _count(self, word: str, columns: str = "{names summary} :") -> int:
        """Return how many entries have a word in these columns."""
        [(count,)] = self._select(_COUNT, f"{columns} {_literal(word)}")
        return int(count)

    def has(self, word: str) -> bool:
        return bool(self._select("select 1 from entries where entries match ? limit 1", _prefix(word)))

    def _select(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    @cached_property
    def size(self) -> int:
        return int(self._select("select count(*) from entries")[0][0])

    @cached_property
    def words(self) -> frozenset[str]:
        """All words in names and summaries."""
        texts = self._select("select names || ' ' || summary from entries")
        return frozenset(word for (text,) in texts for word in words_in(text))


class Search:
    """A search in several indexes. Several threads can use it.

    Hits with equal scores are in the order of the indexes. ``meanings`` are pairs: words in the entries, and their
    synonyms in queries, separated by spaces. ``owners`` are the integrations to which the entries belong, by page.
    """

    def __init__(
        self,
        indexes: Sequence[Index],
        meanings: Iterable[tuple[str, str]] = MEANINGS,
        owners: Mapping[str, Owner] | None = None,
        guides: Index | None = None,
    ) -> None:
        self._indexes = [guides, *indexes] if guides else indexes
        self._guides = guides
        self._owners = owners or {}
        self._said: set[str] = set()
        self._meanings: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
        for words, said in meanings:
            for each in said.split():
                self._meanings[stem(each)].append(tuple(words.split()))
                self._said.add(each)
        self._best = lru_cache(MAX_REMEMBERED)(self._ranked)

    def find(self, query: str, limit: int, without: Collection[str] = ()) -> list[Hit]:
        """Return the best hits, the best first: pages that have a good part of the query's words, or their synonyms.

        Pages ``without`` are left out.
        """
        terms, ranked = self._best(query)
        wanted = (each for each in ranked if each[0].read(each[1]).page not in without)
        return [index.hit(row, terms) for index, row in islice(wanted, limit)]

    def _ranked(self, query: str) -> tuple[Sequence[_Term], list[tuple[Index, int]]]:
        words = words_of(query)
        asked = frozenset(map(stem, words))
        terms = [self._term(word, asked) for word in words]
        if not terms:
            return [], []
        addressed, order = self._addressed(query)
        weights = _weights_of_effects(order, [term for term in terms if term.word != addressed] or terms)
        weights |= {GUIDE: self._weight_of_guides(words)}
        meant = asked.union(*(term.stems for term in terms))
        implied = meant | implied_verbs(order) if weights["write"] < 1 else meant
        said = frozenset(words_in(query))
        named = {page for page, owner in self._owners.items() if owner.said(said)}
        best: dict[str, tuple[float, Index, int]] = {}
        for index in self._indexes:
            own = self._owners.get(index.owner, NOBODY).said(said)  # the entries have short names, without that name
            for row, entry in index.candidates([term for term in terms if term.word not in own] or terms):
                owner = self._owners.get(self._owner_of(entry.page), NOBODY)
                score = _score(entry, terms, meant if entry.is_document else implied, owner, owner.said(said))
                score *= weights.get(entry.effect, 1.0)
                score *= DOCUMENT_WEIGHT if entry.is_document and owner.is_written else 1.0
                score *= 1.0 if owner.is_configured else UNCONFIGURED_WEIGHT
                if score > best.get(entry.page, (0.0,))[0]:
                    best[entry.page] = score, index, row
        ranked = sorted(best, key=lambda page: -best[page][0])
        if ranked and self._owner_of(ranked[0]) in named:
            ranked = [page for page in ranked if self._owner_of(page) in named]
        elif addressed:
            others = self._owners.keys() - named
            ranked = [page for page in ranked if self._owner_of(page) not in others]
        return terms, [best[page][1:] for page in ranked]

    def _addressed(self, query: str) -> tuple[str, str]:
        """Return the name of an integration with which a query begins, or an empty string, and the rest of the query.

        ``slack pin a message`` is an order, as ``pin a message`` is.
        """
        first, _, rest = query.strip().partition(" ")
        name = first.strip(_PUNCTUATION).lower()
        is_owner = rest and any(frozenset({name}) in owner.names for owner in self._owners.values())
        return (name, rest) if is_owner else ("", query)

    def _owner_of(self, page: str) -> str:
        return page if page in self._owners else page.rpartition(".")[0]

    def _term(self, word: str, asked: frozenset[str]) -> _Term:
        """Return a word of a query with its synonyms, but those that the query has itself."""
        known: list[tuple[str, ...]] = self._meanings.get(stem(word), [])
        known = [*known, *((verb, thing) for verb in ("remove", "delete") if (thing := undone(word)))]
        meant = {words: frozenset(map(stem, words)) for words in known}
        is_alone = len(asked) == 1  # ``plan``, and nothing else, does not mean what shows the plan of a service
        meanings = [
            (words, stems)
            for words, stems in meant.items()
            if not (stems <= asked or (is_alone and len(words) > 1 and words[0] in CHANGES | READING))
        ]
        literal = self._found(word)
        vague = self._rarity(literal + sum(min(map(self._found, words)) for words, _ in meanings))
        own = (self._rarity(literal) + vague) / 2 if literal else vague
        return _Term(word, stem(word), own, vague, meanings)

    def _weight_of_guides(self, words: Sequence[str]) -> float:
        """Return a factor for guides: words of the program, such as ``script``, are rare in other entries."""
        if not self._guides:
            return 1.0
        others = [index for index in self._indexes if index is not self._guides]
        size = sum(index.size for index in others)
        factor = GUIDE_WEIGHT
        for word in words:
            here = (self._guides.count(word, "") + 0.5) / (self._guides.size + 1)
            there = (sum(index.count(word, "") for index in others) + 0.5) / (size + 1)
            factor *= (here / there) ** PROGRAM_POWER
        return min(max(factor, MIN_PROGRAM), MAX_PROGRAM)

    def _found(self, word: str) -> int:
        return sum(index.count(word) for index in self._indexes)

    def _rarity(self, found: int) -> float:
        """Return the weight of a word that is in so many entries; at most 1."""
        total = sum(index.size for index in self._indexes)
        return max(MIN_RARITY, log((total + 1) / (found + 1)) / log(total + 1)) if total else 1.0

    def corrected(self, query: str) -> str:
        """Replace each unknown word by the most similar known word, or remove it if there is none."""
        unknown = [word for word in words_of(query) if not self._knows(word)]
        for word in unknown:
            near = [each for each in closest(word, self._words, 1) if _likeness(word, each) >= MIN_LIKENESS]
            query = re.sub(rf"(?i)\b{word}\b ?", f"{near[0]} " if near else "", query)
        return query.strip() if unknown else query

    def _knows(self, word: str) -> bool:
        owned = (words for owner in self._owners.values() for words in owner.names)
        return (
            stem(word) in self._meanings
            or word in frozenset().union(*owned)
            or any(index.has(word) for index in self._indexes)
        )

    @cached_property
    def _words(self) -> frozenset[str]:
        said = (word for phrase in PHRASES for word in words_in(phrase))
        return frozenset(said).union(self._said, *(index.words for index in self._indexes))


_NO_ORDER = ("ed", "ing", "s")
"""How words end that order nothing, though they look like verbs of change: ``created``, ``running``, ``deploys``."""
_PUNCTUATION = ".,:;!?'\"`"
_HOW_TO_LIST = "lua_list_docs() and `kosmolua docs` list the pages"
_MARK = "\x01"
_MARKUP = re.compile(r"[`*|#[]")
_CANDIDATES = f"""
select rowid from entries where entries match ? and rank match 'bm25(0, 10, 9, 4, 1, 0, 0)'
order by rank limit {MAX_CANDIDATES}"""
_ENTRY = "select page, summary, effect, names, summary, parts, text || ' ' || code from entries where rowid = ?"
_COUNT = "select count(*) from entries where entries match ?"
_HIT = f"""
select page, summary, snippet(entries, 4, '{_MARK}', '', '...', {SNIPPET_WORDS})
from entries where entries match ? and rowid = ?"""


def _connect() -> Connection:
    """Open a database in memory, with the empty table of a search index."""
    try:
        import sqlite3
    except ImportError:
        problem = "The documentation cannot be searched, since this Python has no module sqlite3"
        raise DocNotFound(problem, hint=_HOW_TO_LIST) from None
    database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    make_tables(database)
    return database


def make_tables(database: Connection) -> None:
    """Create the empty table of a search index; raise DocNotFound if this SQLite has no FTS5."""
    from sqlite3 import OperationalError

    try:
        database.executescript(_TABLES)
    except OperationalError as error:
        problem = f"The documentation cannot be searched, since this Python's SQLite has no FTS5 ({error})"
        raise DocNotFound(problem, hint=_HOW_TO_LIST) from None


def fill(database: Connection, entries: Iterable[IndexEntry]) -> None:
    """Write entries into the table of a search index."""
    database.executemany("insert into entries values (?, ?, ?, ?, ?, ?, ?)", map(_row, entries))


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


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, words_in(text)))


def _precision(words: frozenset[str], meant: frozenset[str]) -> float:
    """Return which share of some words, common ones aside, a query means."""
    told = words - COMMON_WORDS
    return len(told & meant) / len(told) if told else 0.0


def _score(
    entry: _IndexedEntry, terms: Sequence[_Term], meant: frozenset[str], owner: Owner, own: frozenset[str]
) -> float:
    """Return how well an entry fits a query that means the words ``meant``, and names its owner by the words ``own``.

    Two parts count: how much of the query is in the entry, and how much of its name or summary is asked for.
    """
    wanted = [term for term in terms if term.word not in own]
    total = sum(term.rarity for term in wanted)
    share = sum(term.weight(entry.stems) for term in wanted) / total if total else 0.0
    if share < MIN_SHARE and not own:
        return 0.0
    names = entry.stems["names"].difference(*(map(stem, name) for name in owner.names))
    precision = _precision(names, meant)
    if entry.effect == GUIDE:  # a heading of one word answers no long question
        precision *= min(share, 1) ** 0.5
    if entry.is_document:  # a service's names are often no words, so that its sentence counts as well
        precision = max(precision, _precision(entry.stems["summary"], meant))
    return share + (PRECISION_WEIGHT * precision) + (NAMED_WEIGHT if own else 0)


def _likeness(word: str, other: str) -> float:
    return SequenceMatcher(None, word, other).ratio()


def _weights_of_effects(query: str, terms: Sequence[_Term]) -> dict[str, float]:
    """Return a factor for the scores of each effect: a question seldom means a function that writes, a verb of change
    often.
    """
    terms = [term for term in terms if not term.word.endswith(_NO_ORDER)] or terms
    first = {terms[0].word, *(words[0] for words, _ in terms[0].meanings if len(words) == 1)}
    begins_with_change = bool(first & CHANGES) or (is_order(query, terms[0].word) and not first & READING)
    verbs = {verb for term in terms for verb in (term.word, *(words[0] for words, _ in term.meanings))}
    is_question = only_asks(query)
    changes = not is_question and (begins_with_change or bool(verbs & CHANGES))
    write = 1.0 if changes else UNLIKELY_WEIGHT if is_question or first & READING else UNASKED_WEIGHT
    return {
        "read": UNLIKELY_WEIGHT if begins_with_change and changes else 1.0,
        **dict.fromkeys(EFFECTS[1:], write),
    }


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


def entries_of_guides() -> Iterator[IndexEntry]:
    """Yield an entry for each guide and for each of its sections."""
    for name in pages.NAMES:
        page = GuidePage(name)
        document = markdown.read(page.full())
        yield IndexEntry(name, name, page.summary, " ".join(document.sections), document.introduction, GUIDE)
        for heading, body in document.sections.items():
            yield IndexEntry(name, f"{name} {heading}", page.summary, markdown.first_sentence(body), body, GUIDE)


def entries_of(catalog: Integrations, outlines: Outlines) -> Iterator[IndexEntry]:
    """Yield an entry for each integration and Python function, without integrations that cannot be loaded."""
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
