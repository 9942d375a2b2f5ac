"""Did you mean: the names closest to one that does not exist."""

from __future__ import annotations

from collections.abc import Iterable


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
    found = closest(word, names)
    if not found:
        return None
    return "did you mean " + " or ".join(f"'{name}'" for name in found) + "?"
