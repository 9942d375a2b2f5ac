"""Suggestions: hints such as ``did you mean 'limit'?`` for a name that does not exist.

Words and names come from scripts and documents, so the work is bounded. A very long word is not compared at all. If
there are very many names, only those that share the most pairs of letters with the word are compared closely.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_LISTED = 12
"""How many names a hint lists at most. If there are more, it lists none."""
MAX_WORD = 120
"""How many characters a word that is compared with names can have at most."""
MAX_COMPARED = 200
"""How many names are compared closely with a word at most."""
_WORDS = {
    "limit": "per_page page_size max_results results count size max top first num n",
    "query": "q search term keyword keywords",
    "text": "q query search term keyword keywords contains",
    "cursor": "page_token next_token next_page next_cursor starting_after page offset skip page_number",
    "page": "cursor page_token next_token next_page next_cursor page_number offset skip",
    "sort": "sort_by order_by",
    "direction": "order sort_order",
    "start_time": "start from since after start_date begin",
    "end_time": "end to until before end_date",
    "since": "start from after start_time start_date",
    "until": "end to before end_time end_date",
}
MEANINGS = {name: frozenset(words.split()) for name, words in _WORDS.items()}
"""For each common parameter, the words that other services use for it. They are never matched by spelling."""


def closest(word: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return at most ``most`` names that resemble or contain a word, the most similar first."""
    from difflib import get_close_matches

    if len(word) > MAX_WORD:
        return []
    word, names = word.lower(), list(names)
    folded = {name.lower(): name for name in names}
    close = [folded[match] for match in get_close_matches(word, _most_alike(word, folded), n=most, cutoff=0.6)]
    containing = [name for name in names if len(word) > 2 and word in name.lower() and name not in close]
    return (close + sorted(containing, key=lambda name: (len(name), name)))[:most]


def _most_alike(word: str, names: Iterable[str]) -> Iterable[str]:
    """Return, fast, the :data:`MAX_COMPARED` names that share the most pairs of letters with a word."""
    near = [name for name in names if len(name) <= MAX_WORD]
    if len(near) <= MAX_COMPARED:
        return near
    pairs = {word[place : place + 2] for place in range(len(word) - 1)}
    return sorted(near, key=lambda name: sum(pair in name for pair in pairs), reverse=True)[:MAX_COMPARED]


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """Return ``did you mean 'limit'?``, or None if no name resembles the word."""
    return as_hint(closest(word, names))


def key_hint(key: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown key: the one that was probably meant, or all known keys."""
    known = list(known)
    return did_you_mean(key, known) or f"its keys are {listed(known, MAX_LISTED)}"


def parameters_meant(word: str, names: Iterable[str]) -> list[str]:
    """Return the parameters that a caller probably meant by a word.

    A word of other services stands only for its parameter: ``per_page`` is ``limit`` and never ``page``. For any other,
    spelling decides.
    """
    names = list(names)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word[:MAX_WORD]).replace("-", "_").lower()
    known = [name for name, words in MEANINGS.items() if plain in words]
    return [name for name in known if name in names] if known else closest(word, names)


def as_hint(names: Sequence[str]) -> str | None:
    """Return ``did you mean 'limit' or 'page'?``, or None without names."""
    return f"did you mean {' or '.join(map(repr, names))}?" if names else None


def list_of(intro: str, names: Sequence[str]) -> str | None:
    """Return all names after ``intro``, or None if there are none or more than :data:`MAX_LISTED`."""
    return f"{intro} {', '.join(names)}" if 0 < len(names) <= MAX_LISTED else None


def listed(names: Iterable[object], most: int = 8) -> str:
    """Return names for a message: ``a, b, c and 97 more``."""
    every = list(map(str, names))
    more = len(every) - most
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:most])} and {more:,} more"
