"""Snippets: the few words of a page around those that were looked for."""

from __future__ import annotations

from collections.abc import Sequence

from kosmolua.docs import markdown
from kosmolua.docs.query import Term, fold

MOST_WORDS = 14


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
    place = max(places, key=lambda place: _held(" ".join(folded[place : place + MOST_WORDS // 2]), terms))
    start = max(0, place - MOST_WORDS // 2)
    end = start + MOST_WORDS
    return ("..." if start else "") + " ".join(words[start:end]) + ("..." if end < len(words) else "")


def _held(folded: str, terms: Sequence[Term]) -> int:
    return sum(any(part in folded for part in term) for term in terms)
