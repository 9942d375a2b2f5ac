"""A query: the words of a question that say something, and what else each of them may be called."""

from __future__ import annotations

import re

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
