"""Parts of simulators: the routes of a service, the data of an account, and a function that answers requests from them.

An operation registers itself for a method and a path, and the simulator finds it by the path of a request::

    routes = Routes()

    @routes.on("GET", "/notes/{note_id}")
    def get_note(account: NotesAccount, note_id: str) -> object: ...

    found = routes.find("/notes/n-1")
    found.operations["GET"](account, **found.segments)
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime, timezone
from functools import cache
from threading import Lock
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

from kosmolua.clock import SIMULATION_START
from kosmolua.expressions import regex
from kosmolua.http.messages import Request, Response

T = TypeVar("T")
_Operation = TypeVar("_Operation", bound=Callable[..., Any])

BEGINNING = datetime.fromtimestamp(SIMULATION_START, timezone.utc)
"""The time at which every simulation starts."""
_SLOT = regex(r"\\{(\\\*)?(\w+)\\}")


class RouteMatch(NamedTuple):
    """Where a path leads.

    Args:
        path: The template of the path, with names in braces.
        operations: The operations at this path, by HTTP method.
        segments: The values of the names, percent-decoded.
    """

    path: str
    operations: Mapping[str, Callable[..., Any]]
    segments: Mapping[str, str]


class Routes:
    """The operations of a service, by path and HTTP method."""

    def __init__(self) -> None:
        self.operations: dict[str, dict[str, Callable[..., Any]]] = {}

    def on(self, method: str, path: str) -> Callable[[_Operation], _Operation]:
        """Return a decorator that registers an operation.

        Args:
            method: The HTTP method, in capitals.
            path: The path. ``{name}`` stands for any one part of it, ``{*name}`` for one or several parts.
        """

        def register(operation: _Operation) -> _Operation:
            self.operations.setdefault(path, {})[method] = operation
            return operation

        return register

    def find(self, path: str) -> RouteMatch | None:
        """Return the first registered route that a path matches as a whole, or None."""
        for template, operations in self.operations.items():
            if found := _pattern(template).fullmatch(path):
                segments = {name: unquote(value) for name, value in found.groupdict().items()}
                return RouteMatch(template, operations, segments)
        return None


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches the paths of a route, made at the first look, since most processes look for few."""
    return re.compile(_SLOT.sub(lambda slot: f"(?P<{slot[2]}>{'.+' if slot[1] else '[^/]+'})", re.escape(template)))


class SimulatedAccount:
    """The data of one account, which requests read and change: JSON values in named parts.

    Args:
        service: The name of the service, for messages.
        account: The name of the account.
        fresh: The parts as they are at the start.
        state: What :meth:`dump` returned for this account earlier, or None to start anew.

    Raises:
        ValueError: ``state`` does not come from such an account.
    """

    def __init__(
        self, service: str, account: str, fresh: Mapping[str, Any], state: Mapping[str, Any] | None = None
    ) -> None:
        self.parts: dict[str, Any] = {"account": account, **fresh}
        if state is not None:
            fits = all(isinstance(state.get(name), type(value)) for name, value in self.parts.items())
            if not fits or state["account"] != account:
                raise ValueError(f"this is not the state of a simulated {service} account {account}")
            self.parts = deepcopy(dict(state))

    def dump(self) -> dict[str, Any]:
        """Return a copy of the data."""
        return deepcopy(self.parts)

    def kept(self, part: str, key: str, seed: Callable[[], T]) -> T:
        """Return what a part has under a key; ``seed`` makes it on first use."""
        things: dict[str, T] = self.parts[part]
        if key not in things:
            things[key] = seed()
        return things[key]


class SimulatedService(ABC):
    """A function that answers the requests of one account, a ``Send``. Threads wait for each other."""

    def __init__(self, account: SimulatedAccount) -> None:
        self._account = account
        self._lock = Lock()

    def dump(self) -> dict[str, Any]:
        """Return all data of the account as JSON values."""
        with self._lock:
            return self._account.dump()

    def __call__(self, request: Request) -> Response:
        """Return the simulated response to a request."""
        with self._lock:
            return self.respond(request)

    @abstractmethod
    def respond(self, request: Request) -> Response:
        """Return the response to a request; it may change the account."""


def answer(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return an HTTP response: the answer of a simulator, or a reply in a :class:`Playground`.

    Args:
        status: The HTTP status.
        body: The value to send as JSON. With None, the body is empty.
        headers: The headers of the response, in addition to the media type.
    """
    if body is None:
        return Response(status, headers or {})
    kind = {"Content-Type": "application/json"}
    return Response(status, {**(headers or {}), **kind}, json.dumps(body, ensure_ascii=False).encode())
