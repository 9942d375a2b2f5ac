"""Calls: a request that fits a known path, the answers to it, and what operations need to tell one from the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..wire import Thing
from .world import World


class Refusal(Exception):
    """An error that GitHub answers with.

    Args:
        status: The HTTP status.
        message: What the body says.
        errors: The list of the body's ``errors``, as a 422 has it.
    """

    def __init__(self, status: int, message: str, *errors: Thing) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"message": message, "status": str(status)} | ({"errors": errors} if errors else {})


@dataclass(frozen=True)
class Call:
    """A request that fits a known path.

    Args:
        path: Without what the base URL has of it.
        segments: What stood in the path's places.
        query: Its parameters.
        body: The decoded body, or None.
        signed_in: Whether it came with a token.
    """

    path: str
    segments: dict[str, str]
    query: dict[str, str]
    body: object
    signed_in: bool


@dataclass(frozen=True)
class Listed:
    """A list to be answered with in pages.

    Args:
        items: All of them.
        path: Where the links to other pages lead.
        most: How far the pages of a search go; other lists have no end.
        key: What the items are under, if an object with their count is around them.
    """

    items: list[Thing]
    path: str
    most: float = math.inf
    key: str | None = None


@dataclass(frozen=True)
class Answer:
    """An answer with a status of its own."""

    status: int
    body: object


Operation: TypeAlias = "Callable[[World, Call], Thing | Listed | Answer]"


def demand_token(call: Call) -> None:
    """Refuse who has no token."""
    if not call.signed_in:
        raise Refusal(401, "Requires authentication")


def found(thing: Thing | None) -> Thing:
    """Return what is there; what is not is 404."""
    if thing is None:
        raise Refusal(404, "Not Found")
    return thing


def body_of(call: Call, resource: str, *required: str) -> Thing:
    """Return a body that has these texts; without one of them it is 422."""
    body = call.body if isinstance(call.body, dict) else {}
    for field in required:
        if not isinstance(body.get(field), str):
            raise Refusal(422, "Validation Failed", {"resource": resource, "field": field, "code": "missing_field"})
    return body
