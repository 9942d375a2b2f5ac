"""Handlers, an account class and record types for tests of what a signature says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from kosmolua.plugin import Secret, between, matching, unless
from kosmolua.schema.function import read_function


class Point(TypedDict):
    x: int
    y: Annotated[int | None, "Up."]


class Thread(TypedDict):
    text: str
    replies: list[Thread]
    parent: Thread | None


class Edits(TypedDict, total=False):
    text: str
    label: Annotated[str | None, matching("[a-z]+", "abc")]


class Loose(TypedDict, total=False):
    tag: str


@dataclass(frozen=True)
class Account:
    """A key."""

    api_key: Annotated[Secret, "From the settings."]
    url: Annotated[str, "Where it is."] = "https://example.com"
    spare_key: Secret | None = None

    def open(self, send: Any) -> Any:
        return send


def lend(
    library: Any,
    /,
    *,
    book: Annotated[str, "Which book.", matching(r"b-\d+", "b-12")],
    days: Annotated[int, "For how long.", between(1, 30)] = 14,
    tags: list[str] | None = None,
) -> dict[str, Any]:
    """Lend a book.

    It has to be there.
    """
    return {"book": book, "days": days}


def find(library: Any, /, *, title: Annotated[str | None, unless("author")], author: str | None = None) -> list:
    """Find a book by title or author."""
    return [title, author]


def hours(library: Any, /) -> dict:
    """Say when it is open."""
    return {}


LEND, FIND, HOURS = (read_function(handler, "read", "lib") for handler in (lend, find, hours))
