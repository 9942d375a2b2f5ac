"""Ranking: which entries fit a query best, whatever index they come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kosmolua.docs import markdown

MOST_WORDS = 8
SHORTEST_BEGINNING = 3
"""Letters of a word that longer words may go on from; a shorter one has to stand by itself."""

_COMMON = """
a about all am an and any are as at be been but by can could did do does for from had has have how i if in into is
it its just many may me much my need of on one or our please s should so some t than that the their them then there
these they this those to up us use was we were what when where which why will with would you your
"""
COMMON_WORDS = frozenset(_COMMON.split())
"""Left out of a query that has other words."""

_MEANINGS = """
abort cancel kill stop
add create make new open
authenticate logged login
begin launch start trigger
bug issue ticket
change edit modify overwrite replace set update
credential key password secret token
database db
delete erase remove rid
env environment
error fail failure
fetch get list read show view
halt pause stop suspend
last latest newest recent
organisation organization org
repo repository
resume wake
user who
var variable
"""
SAME, FORM, MEANT = 1.1, 1.0, 0.9
"""What a word counts that is found just as it was written, in another form, or by another of its meaning."""

_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|s)$|(?<=\w{4})(?:ies|es?|y)$")
_DOUBLED = re.compile(r"(?<=\w\w)([^\Ws])\1$")

Term = dict[str, float]
"""A word of a query: what a folded text may have in it for the word, such as `` cancel``, and what that counts."""


def fold(text: str) -> str:
    """Return the words of a text in lower case with a space around each, ``list_services`` being two."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def words_of(query: str) -> list[str]:
    """Return the first different words of a query that say something, in lower case.

    Both ``list_services`` and ``listServices`` are two words; ``GitHub`` is one.
    """
    words = list(dict.fromkeys(piece.lower() for word in _WORD.findall(query) for piece in _pieces(word)))
    return ([word for word in words if word not in COMMON_WORDS] or words)[:MOST_WORDS]


def terms_of(query: str) -> list[Term]:
    """Return the words of a query, with other forms and what else each may be called."""
    return list(map(_term, words_of(query)))


def stem_of(word: str) -> str:
    """Return what the forms of a word begin with: ``cancel`` for ``cancelled``, ``chang`` for ``change``."""
    stem = _ENDING.sub("", word)
    return _DOUBLED.sub(r"\1", stem) if stem != word else stem


def _term(word: str) -> Term:
    stem = stem_of(word)
    others = {other for row in _ROWS if stem in row for other in row}
    return dict.fromkeys(map(_beginning, others), MEANT) | {_beginning(stem): FORM, f" {word} ": SAME}


def _beginning(stem: str) -> str:
    return f" {stem}" if len(stem) >= SHORTEST_BEGINNING else f" {stem} "


def _pieces(word: str) -> list[str]:
    return _HUMP.split(word) if word[0].islower() else [word]


_ROWS = [frozenset(map(stem_of, row.split())) for row in _MEANINGS.strip().splitlines()]


SNIPPET_WORDS = 14


def snippet(text: str, terms: Sequence[Term]) -> str:
    """Return the words of a Markdown text around the place that has most of a query, without code and marks.

    Args:
        text: What to quote.
        terms: What to look for.

    Returns:
        One line, with ``...`` where it was cut; nothing where no word is found.
    """
    words = markdown.plain(text).split()
    folded = [fold(word) for word in words]
    places = [place for place, word in enumerate(folded) if _held(word, terms)]
    if not places:
        return ""
    place = max(places, key=lambda place: _held(" ".join(folded[place : place + SNIPPET_WORDS // 2]), terms))
    start = max(0, place - SNIPPET_WORDS // 2)
    end = start + SNIPPET_WORDS
    return ("..." if start else "") + " ".join(words[start:end]) + ("..." if end < len(words) else "")


def _held(folded: str, terms: Sequence[Term]) -> int:
    return sum(any(part in folded for part in term) for term in terms)


USUAL_HITS, MOST_HITS = 10, 100
"""How many pages a search returns where nothing is said, and at most."""

NAME_WEIGHT, SUMMARY_WEIGHT, TEXT_WEIGHT = 1.0, 0.9, 0.3
"""What a word counts where it is found: in a name and a summary about the same."""

COVERED_WEIGHT = 0.6
"""What it counts that a name has no other words."""


class Entry(NamedTuple):
    """Something that can be found.

    Args:
        page: The page to read.
        names: What it is called.
        summary: One sentence.
        text: Everything else, in Markdown.
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


class Folded(NamedTuple):
    """An entry with its columns folded, as words are looked up in them."""

    entry: Entry
    names: str
    summary: str
    text: str


def folded(entry: Entry) -> Folded:
    """Return an entry ready to be ranked."""
    return Folded(entry, fold(entry.names), fold(entry.summary), fold(entry.text))


def best(candidates: Iterable[Folded], terms: Sequence[Term], limit: int) -> list[Hit]:
    """Return at most ``limit`` of some entries, those first that hold most of the words; of equals the first.

    An entry that holds none of them is none.
    """
    scored = [(_score(candidate, terms), candidate.entry) for candidate in candidates]
    found = sorted((each for each in scored if each[0]), key=lambda each: -each[0])
    return [Hit(entry.page, entry.summary, snippet(entry.text, terms)) for _, entry in found[:limit]]


def _score(candidate: Folded, terms: Sequence[Term]) -> float:
    matched = sum(_weight(candidate, term) for term in terms)
    return matched and matched + COVERED_WEIGHT * _covered(candidate.names, terms)


def _weight(candidate: Folded, term: Term) -> float:
    _, names, summary, text = candidate
    places = ((names, NAME_WEIGHT), (summary, SUMMARY_WEIGHT), (text, TEXT_WEIGHT))
    found = (weight * counts for part, counts in term.items() for words, weight in places if part in words)
    return max(found, default=0.0)


def _covered(names: str, terms: Sequence[Term]) -> float:
    """Return the part of a name's words that are words of the query."""
    words = names.split()
    parts = tuple(part for term in terms for part in term)
    return sum(f" {word} ".startswith(parts) for word in words) / max(len(words), 1)
