"""What an operation of the simulator receives and returns: a request, and a reply or an error."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TypeAlias

from ..wire import Thing
from .demands import Demand
from .world import World


@dataclass(frozen=True)
class Call:
    """A request to a path that the simulator supports.

    Args:
        segments: The values of the variable parts of the path, by name, such as ``service_id``.
        query: The values of each parameter of the query.
        body: The decoded JSON body, or None if the request has none.
        ending: The final status for the deploy or job that the operation starts, or None for the usual one.
    """

    segments: Mapping[str, str]
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: object = None
    ending: str | None = None

    def values(self, name: str) -> list[str]:
        """Return all values of a query parameter. Its name can be repeated, or its values joined with commas."""
        return [part for value in self.query.get(name, []) for part in value.split(",")]

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter, or the default if the parameter is missing."""
        return self.query.get(name, [default])[-1]

    def fits(self, thing: Thing, names: Iterable[str]) -> bool:
        """Return True if an object matches the query in each of these fields.

        A field matches if the query has no parameter with its name, or if one of the parameter's values equals it.
        """
        return all(not self.values(name) or str(thing.get(name)) in self.values(name) for name in names)

    def within(self, thing: Thing, *events: str) -> bool:
        """Return True if the times of an object's events, such as ``created``, are within the ranges in the query."""
        return all(
            self._after(thing.get(f"{event}At"), f"{event}After")
            and self._before(thing.get(f"{event}At"), f"{event}Before")
            for event in events
        )

    def _after(self, text: str | None, name: str) -> bool:
        return not self.one(name) or (text is not None and moment(text) > moment(self.one(name)))

    def _before(self, text: str | None, name: str) -> bool:
        return not self.one(name) or (text is not None and moment(text) < moment(self.one(name)))


@dataclass(frozen=True)
class Reply:
    """The reply of an operation: an HTTP status, and a value to send as JSON, or None for an empty body."""

    status: int
    body: object = None


class Refusal(Exception):
    """An error response of the simulated Render.

    Args:
        status: The HTTP status.
        message: The message in the body.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


Operation: TypeAlias = Callable[[World, Call], Reply]


def demanded(demand: Demand, body: object) -> Thing:
    """Return a body after checking it with ``demand``, a function that returns what is wrong with a value, or None.

    Raises:
        Refusal: The demand does not accept the body (400).
    """
    complaint = demand(body, "body")
    if complaint:
        raise Refusal(400, f"invalid JSON: {complaint}")
    assert isinstance(body, dict)
    return body


def paged(items: Sequence[Thing], key: str, call: Call, name: str = "id") -> Reply:
    """Return the page of a list that a call asks for. With an unknown cursor the page is empty.

    Args:
        items: The items of the whole list.
        key: The key of the item in each row of the page, such as ``service``.
        call: The request, whose query can have a limit and a cursor.
        name: The field of an item that determines its cursor.
    """
    cursors = [cursor_of(str(item[name])) for item in items]
    start, cursor = 0, call.one("cursor")
    if cursor:
        start = cursors.index(cursor) + 1 if cursor in cursors else len(items)
    end = start + int(call.one("limit", "20"))
    return Reply(200, [{key: item, "cursor": cursors[start + n]} for n, item in enumerate(items[start:end])])


def cursor_of(name: str) -> str:
    """Return the cursor of an item from its id or name: 32 characters, like Render's cursors."""
    return urlsafe_b64encode(sha256(name.encode()).digest()[:24]).decode()


def among(items: Mapping[str, Thing], key: str) -> Thing:
    """Return the item with this id.

    Raises:
        Refusal: There is no such item (404).
    """
    if key not in items:
        raise Refusal(404, f"not found: {key}")
    return items[key]


def service_of(world: World, call: Call) -> Thing:
    """Return the service that a call is about.

    Raises:
        Refusal: There is no such service (404).
    """
    return among(world.services, call.segments["service_id"])


def moment(text: str) -> datetime:
    """Parse a time in ISO 8601.

    Raises:
        Refusal: The text is not a time (400).
    """
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(400, f"{text} is not a date and time") from None
