"""Calls: a request with a known path, the answers to it, and helpers for operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..wire import Thing
from .world import World


class Refusal(Exception):
    """An error answer of GitHub.

    Args:
        status: The HTTP status.
        message: The message in the body.
        errors: The list ``errors`` in the body of a 422.
    """

    def __init__(self, status: int, message: str, *errors: Thing) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"message": message, "status": str(status)} | ({"errors": errors} if errors else {})


@dataclass(frozen=True)
class Call:
    """A request with a known path.

    Args:
        path: The path relative to the base URL.
        segments: The values in the path, by the names in its template.
        query: The parameters of the query.
        body: The decoded body, or None.
        signed_in: Whether the request has a token.
    """

    path: str
    segments: dict[str, str]
    query: dict[str, str]
    body: object
    signed_in: bool


@dataclass(frozen=True)
class Listed:
    """A list that is answered in pages.

    Args:
        items: All items.
        path: The path in the links to other pages.
        most: The largest number of items that a search returns; None for other lists.
        key: The key of the items, if a page is an object with the items and their number.
    """

    items: list[Thing]
    path: str
    most: float = math.inf
    key: str | None = None


@dataclass(frozen=True)
class Answer:
    """An answer with a status other than 200."""

    status: int
    body: object


Operation: TypeAlias = "Callable[[World, Call], Thing | Listed | Answer]"


def demand_token(call: Call) -> None:
    """Refuse a call without a token."""
    if not call.signed_in:
        raise Refusal(401, "Requires authentication")


def found(thing: Thing | None) -> Thing:
    """Return a thing, or refuse with 404 if it is None."""
    if thing is None:
        raise Refusal(404, "Not Found")
    return thing


def body_of(call: Call, resource: str, *required: str) -> Thing:
    """Return the body of a call, or refuse with 422 if it lacks one of these texts."""
    body = call.body if isinstance(call.body, dict) else {}
    for field in required:
        if not isinstance(body.get(field), str):
            raise Refusal(422, "Validation Failed", {"resource": resource, "field": field, "code": "missing_field"})
    return body
