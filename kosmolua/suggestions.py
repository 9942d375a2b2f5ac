"""Did you mean: the names closest to one that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

FEW = 12
"""How many names a hint may list."""
_WORDS = {
    "limit": "per_page page_size max_results results count size max top first num n",
    "query": "q search term keyword keywords",
    "text": "q query search term keyword keywords contains",
    "cursor": "page_token next_token next_page next_cursor starting_after",
    "sort": "sort_by order_by",
    "direction": "order sort_order",
    "start_time": "start from since after start_date begin",
    "end_time": "end to until before end_date",
    "since": "start from after start_time start_date",
    "until": "end to before end_time end_date",
}
MEANINGS = {name: frozenset(words.split()) for name, words in _WORDS.items()}
"""For parameters that many services have: what else they are called. These words are never matched by spelling."""


def closest(word: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return at most ``most`` names that resemble a word, the likeliest first.

    A name that contains the word counts as close, however long it is.
    """
    from difflib import get_close_matches

    names = list(names)
    folded = {name.lower(): name for name in names}
    close = [folded[match] for match in get_close_matches(word.lower()[:200], folded, n=most, cutoff=0.6)]
    containing = [name for name in names if len(word) > 2 and word.lower() in name.lower() and name not in close]
    return (close + sorted(containing, key=len))[:most]


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """Return a hint such as ``did you mean 'limit'?``, or None when nothing is close."""
    return as_hint(closest(word, names))


def parameters_meant(word: str, names: Iterable[str]) -> list[str]:
    """Return what :func:`closest` does for a parameter, where ``per_page`` means ``limit`` and no ``page``."""
    names = list(names)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word[:200]).replace("-", "_").lower()
    known = [name for name, words in MEANINGS.items() if plain in words]
    return [name for name in known if name in names] if known else closest(word, names)


def as_hint(names: Sequence[str]) -> str | None:
    """Return the question whether one of some names was meant, or None where there are none."""
    if not names:
        return None
    return "did you mean " + " or ".join(f"'{name}'" for name in names) + "?"


def list_of(intro: str, names: Sequence[str]) -> str | None:
    """Return a hint with all names where they are few, as in ``it has github, render2``, or None."""
    return f"{intro} {', '.join(names)}" if 0 < len(names) <= FEW else None


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names for a message, cut if they are many: ``a, b, c and 97 more``."""
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more:,} more"
