"""What an operation of the simulator receives and returns: a request, and a reply or an error."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from kosmolua.testing import Routes

from ..wire import Thing
from .demands import Demand
from .world import World

_NO_FILTERS = frozenset({"limit", "cursor", "startTime", "endTime", "includePreviews", "includeReplicas"})
"""The parameters of queries that do not name a field of the items of a list."""


@dataclass(frozen=True)
class Call:
    """A request: the values of the names in its path, its query and its decoded body.

    ``ending`` is the final status for the deploy or job that the operation starts, or None for the usual one.
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

    def wants(self, thing: Thing) -> bool:
        """Return True if an object matches the query.

        A parameter lists the values that the field of its name can have; ``createdAfter`` is the range of an event.
        """
        return all(self._fits(thing, name) for name in self.query.keys() - _NO_FILTERS)

    def _fits(self, thing: Thing, name: str) -> bool:
        event, side, _ = name.partition("After") if name.endswith("After") else name.partition("Before")
        if not side:
            return str(thing.get(name)) in self.values(name)
        if (text := thing.get(f"{event}At")) is None:
            return False
        limit = moment(self.one(name))
        return moment(text) > limit if side == "After" else moment(text) < limit


class Reply(NamedTuple):
    """The reply of an operation: an HTTP status, and a value to send as JSON, or None for an empty body."""

    status: int
    body: object = None


class Refusal(Exception):
    """An error response of the simulated Render."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


routes = Routes()
"""The operations: functions of a world and a call, which return a reply.

They have the names of the functions in ``integrations/render2`` that send such requests.
"""


def demanded(demand: Demand, body: Any) -> Any:
    """Return a body that a demand accepts, or refuse it with 400."""
    complaint = demand(body, "body")
    if complaint:
        raise Refusal(400, f"invalid JSON: {complaint}")
    return body


def paged(
    items: Iterable[Thing], key: str, call: Call, *, name: str = "id", told: Callable[[Thing], Thing] = dict
) -> Reply:
    """Return the page that a call asks for: of the items that match its query. With an unknown cursor it is empty.

    ``told`` returns an item with all fields that a query can name; ``name`` is the field that determines a cursor.
    """
    found = rows([item for item in items if call.wants(told(item))], key, name)
    start, cursor = 0, call.one("cursor")
    if cursor:
        start = next((place for place, row in enumerate(found, start=1) if row["cursor"] == cursor), len(found))
    return Reply(200, found[start : start + int(call.one("limit", "20"))])


def rows(items: Sequence[Thing], key: str, name: str = "id") -> list[Thing]:
    """Return the rows of a list: each item under ``key``, with a cursor of 32 characters, like Render's."""
    digests = [sha256(str(item[name]).encode()).digest()[:24] for item in items]
    return [
        {key: item, "cursor": urlsafe_b64encode(digest).decode()} for item, digest in zip(items, digests, strict=True)
    ]


def among(items: Mapping[str, Thing], key: str) -> Thing:
    """Return the item with an id, or refuse with 404."""
    if key not in items:
        raise Refusal(404, f"not found: {key}")
    return items[key]


def service_of(world: World, call: Call) -> Thing:
    """Return the service that a call is about, or refuse with 404."""
    return among(world.services, call.segments["service_id"])


def refuse_other_owner(world: World, owner_id: str) -> None:
    """Refuse, with status 404, an id that is not that of the account's workspace."""
    among({world.owner["id"]: world.owner}, owner_id)


def moment(text: str) -> datetime:
    """Parse a time in ISO 8601, or refuse with 400."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refusal(400, f"{text} is not a date and time") from None
