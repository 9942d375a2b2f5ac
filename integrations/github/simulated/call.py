"""What an operation of the simulator receives and returns: a request, and the kinds of answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kosmolua.testing import Routes

from ..wire import Thing


class Refusal(Exception):
    """An error response of the simulated GitHub.

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
    """A request to a path that the simulator supports.

    Args:
        path: The path relative to the base URL.
        segments: The values of the variable parts of the path, by name, such as ``owner`` and ``repo``.
        query: The parameters of the query.
        body: The decoded JSON body, or None if the request has none.
        signed_in: Whether the request has a token.
    """

    path: str
    segments: Mapping[str, str]
    query: dict[str, str]
    body: object
    signed_in: bool


@dataclass(frozen=True)
class Listed:
    """An answer that is a list. The response contains one page of it.

    Args:
        items: The items of all pages.
        path: The path to use in the links to other pages.
        most: The largest number of items that a search returns; infinity for other lists.
        key: If a page is an object with the items and their total number, the key of the items, else None.
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
    """Return the body of a call, or refuse with 422 if a required field is missing or not text.

    Args:
        call: The call.
        resource: The type of object that the error names, such as ``Issue``.
        required: The names of the required fields.
    """
    body = call.body if isinstance(call.body, dict) else {}
    for field in required:
        if not isinstance(body.get(field), str):
            raise Refusal(422, "Validation Failed", {"resource": resource, "field": field, "code": "missing_field"})
    return body
