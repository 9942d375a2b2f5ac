"""Labels of a function: who can write what it returns, and where a write sends its arguments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

ORIGINS = ("own", "shared", "public")
"""Who can write a value, the most trusted first: the account's own people, colleagues and customers, anybody."""
AUDIENCES = ("own", "external", "public")
"""Who gets what a write sends: the account's own people, other people, anybody."""
OTHER_FIELDS = "*"
"""In an origin by field: the fields that are not named."""
Origin: TypeAlias = "Literal['own', 'shared', 'public'] | Mapping[str, Any]"
"""One of :data:`ORIGINS`; or one for each field, at any depth, such as ``{"body": "public"}``, which can be nested."""


FLOW_MODES = ("off", "note", "ask", "deny")
"""What happens to a call whose destination somebody else's text decided.

Nothing; it becomes a fact of the run; a person is asked; it is denied.
"""


class Labels(NamedTuple):
    """What is declared about one function, or about all functions that match a pattern.

    Args:
        origin: Who can write what the function returns; None for the default of its integration.
        private: Whether the result must not leave the account's own people, or the fields for which this holds.
        to: The parameters that say where a write goes or whom it reaches; None to tell this by names and formats.
        audience: Who gets what is sent; None for the account's own people.
        why: The reason, for people who read a table of labels.
    """

    origin: Origin | None = None
    private: bool | Collection[str] = False
    to: Collection[str] | None = None
    audience: str | None = None
    why: str = ""

    def objection(self) -> str | None:
        """Return why these labels are not valid, or None."""
        if problem := objection_to_origin(self.origin):
            return f"origin {problem}"
        if self.audience not in (None, *AUDIENCES):
            return f"audience must be one of {', '.join(AUDIENCES)}, not {self.audience!r}"
        return None


NONE = Labels()
DECLARED = ("origin", "private", "to", "audience")
"""The names of the labels that an overlay can declare."""


class Labelled(TypedDict, total=False):
    """The labels of a function, as its decorator declares them, with the names of :class:`Labels`."""

    origin: Origin
    private: bool | Collection[str]
    to: Collection[str]
    audience: str


def objection_to_origin(origin: object) -> str | None:
    """Return why a value is no origin, such as ``must be one of own, shared, public``; or None."""
    wrong = next(_unknown_origins(origin), None)
    return f"must be one of {', '.join(ORIGINS)}, or a table of them by field, not {wrong!r}" if wrong else None


def _unknown_origins(origin: object) -> Iterator[object]:
    if isinstance(origin, Mapping):
        for each in origin.values():
            yield from _unknown_origins(each)
    elif origin is not None and origin not in ORIGINS:
        yield origin
