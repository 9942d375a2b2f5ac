"""What a session says: what came of a chunk, and what is inside a table."""

from __future__ import annotations

from typing import Any

from kosmolua import wire
from kosmolua.outcome import Outcome
from kosmolua.session.chunk import State


class Answer:
    """What came of a chunk.

    Args:
        outcome: As of any script; its calls and its output are the chunk's.
        state: What state the session is in now.

    ``text`` shows the values of the chunk, or is None where it has none; bytes that are not UTF-8 are lone surrogates
    in it, as Python's ``surrogateescape`` has them. ``size`` is the length in bytes that it would have if nothing were
    cut; ``is_page`` says that it is a page of the documentation.
    """

    def __init__(self, outcome: Outcome, state: State) -> None:
        self.outcome = outcome
        self.state = state
        shown = first_of(outcome, dict) or {}
        self.text = _text_of(shown)
        self.size = shown["size"] if isinstance(shown.get("size"), int) else 0
        self.is_page = shown.get("page") is True


class Names:
    """What there is inside a table of the session.

    Args:
        types: Each name with the type of its value.
        path: The path of the table under ``app``, if that is where it is; its names are for the catalog to say.
    """

    def __init__(self, types: dict[str, str], path: str | None) -> None:
        self.types = types
        self.path = path


def _text_of(shown: dict[str, Any]) -> str | None:
    text = shown.get("text")
    if not isinstance(text, str):
        return None
    return wire.to_text(text.encode("latin-1", "replace")) if shown.get("bytes") is True else text


def first_of(outcome: Outcome, kind: type) -> Any:
    """Return the first value of an outcome, or None where there is none of this type."""
    first = outcome.result[0] if outcome.result else None
    return first if isinstance(first, kind) else None
