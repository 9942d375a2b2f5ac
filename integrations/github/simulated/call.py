"""What an operation of the simulator receives and returns: a request, and the kinds of answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from kosmolua.testing import Routes

from ..wire import Thing


class Refusal(Exception):
    """An error response of the simulated GitHub; ``errors`` are those in the body of a 422."""

    def __init__(self, status: int, message: str, *errors: Thing) -> None:
        super().__init__(message)
        self.status = status
        self.body: Thing = {"message": message, "status": str(status)} | ({"errors": errors} if errors else {})


class Call(NamedTuple):
    """A request: its path below the base URL, the values of the names in it, and whether it has a token."""

    path: str
    segments: Mapping[str, str]
    query: dict[str, str]
    body: object
    signed_in: bool


class Listed(NamedTuple):
    """An answer that is a list, of which the response contains one page.

    A search returns at most so many items, and with a ``key`` a page is an object with the items and their number.
    """

    items: list[Thing]
    path: str
    most: float = math.inf
    key: str | None = None


class Answer(NamedTuple):
    """An answer with a status other than 200."""

    status: int
    body: object


routes = Routes()
"""The operations of https://docs.github.com/en/rest: functions of a world and a call, which return what is found, a
:class:`Listed` or an :class:`Answer`.
"""


def demand_token(call: Call) -> None:
    """Refuse a call without a token, with status 401."""
    if not call.signed_in:
        raise Refusal(401, "Requires authentication")


def found(thing: Thing | None) -> Thing:
    """Return ``thing``, which a call is about. If it is None, refuse the call with status 404."""
    if thing is None:
        raise Refusal(404, "Not Found")
    return thing


def body_of(call: Call, resource: str, *required: str) -> Thing:
    """Return the body of a call, or refuse with 422, which names the resource, if a required text is missing."""
    body = call.body if isinstance(call.body, dict) else {}
    for field in required:
        if not isinstance(body.get(field), str):
            raise Refusal(422, "Validation Failed", {"resource": resource, "field": field, "code": "missing_field"})
    return body
