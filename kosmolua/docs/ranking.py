"""Ranking: which entries fit a query best, whatever index they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kosmolua.docs.query import Term, fold
from kosmolua.docs.snippet import snippet

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
