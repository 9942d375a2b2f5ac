"""Calls: a request with a known path, the reply to it, and helpers for operations."""

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
    """A request with a known path.

    Args:
        segments: The values in the path, by the names in its template.
        query: The values of each parameter.
        body: The decoded body, or None.
        ending: The final status of the object that the operation starts, if a failure is simulated, or None.
    """

    segments: Mapping[str, str]
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: object = None
    ending: str | None = None

    def values(self, name: str) -> list[str]:
        """Return all values of a parameter. Its name may be repeated, or its values joined by commas."""
        return [part for value in self.query.get(name, []) for part in value.split(",")]

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a parameter."""
        return self.query.get(name, [default])[-1]

    def fits(self, thing: Thing, names: Iterable[str]) -> bool:
        """Return True if a thing matches the filters of these names.

        A field matches if the parameter of its name is missing or has the value of the field.
        """
        return all(not self.values(name) or str(thing.get(name)) in self.values(name) for name in names)

    def within(self, thing: Thing, *events: str) -> bool:
        """Return True if the times of these events, such as ``created``, are in the range that is asked for."""
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
    """A status, and a body for JSON; None stands for no body."""

    status: int
    body: object = None


class Refusal(Exception):
    """An error answer of Render.

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
    """Return a body if it meets a demand.

    Raises:
        Refusal: The body does not meet the demand.
    """
    complaint = demand(body, "body")
    if complaint:
        raise Refusal(400, f"invalid JSON: {complaint}")
    assert isinstance(body, dict)
    return body


def paged(items: Sequence[Thing], key: str, call: Call, name: str = "id") -> Reply:
    """Return a page of a list: rows, each with a cursor. For an unknown cursor, the page is empty."""
    cursors = [cursor_of(str(item[name])) for item in items]
    start, cursor = 0, call.one("cursor")
    if cursor:
        start = cursors.index(cursor) + 1 if cursor in cursors else len(items)
    end = start + int(call.one("limit", "20"))
    return Reply(200, [{key: item, "cursor": cursors[start + n]} for n, item in enumerate(items[start:end])])


def cursor_of(name: str) -> str:
    """Return the cursor of an item: 32 characters, like Render's cursors."""
    return urlsafe_b64encode(sha256(name.encode()).digest()[:24]).decode()


def among(items: Mapping[str, Thing], key: str) -> Thing:
    """Return an item by its id.

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
    """Return the time in a text.

    Raises:
        Refusal: The text is not a time.
    """
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(400, f"{text} is not a date and time") from None
