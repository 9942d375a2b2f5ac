"""A simulator of Render. It answers requests as https://api.render.com does, but from data in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

from kosmolua.plugin import Request, Response, Secret
from kosmolua.testing import RouteMatch, SimulatedService, answer

from .simulated import operations  # noqa: F401 - registers the operations
from .simulated.call import Call, Refusal, Reply, routes
from .simulated.failures import Failures
from .simulated.queries import complaint_about_query
from .simulated.world import World

_BASE = "/v1"
_NOWHERE: RouteMatch = RouteMatch("", {}, {})


class Simulator(SimulatedService):
    """Simulates Render for one account. A simulator is a ``Send``: called with a request, it returns a response.

    Every simulator starts with the same data, keeps the changes that requests make, and is as strict as Render: a
    missing API key gets 401, an invalid body or query 400, an unknown id 404. Deploys and jobs progress with time.

    Args:
        account: The name of the account, which determines its data. Different accounts have different data.
        clock: A function that returns the time in seconds since 1970. If None, time advances by one second with each
            request.
        failures: How functions fail, by name. ``{"trigger_deploy": "build_failed"}`` sets the final status of the
            deploys that the function starts; ``{"trigger_deploy": "503"}`` sets the HTTP status of the response.
        state: What :meth:`dump` of an earlier simulator of this account returned, or None to start anew.

    Raises:
        ValueError: A failure is unknown, or ``state`` does not come from a simulator of this account.
    """

    def __init__(
        self,
        account: str,
        *,
        clock: Callable[[], float] | None = None,
        failures: Mapping[str, str] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._world = World(account, clock, state)
        super().__init__(self._world)
        names = {each.__name__ for methods in routes.operations.values() for each in methods.values()}
        self._failures = Failures(failures or {}, names)

    def respond(self, request: Request) -> Response:
        """Return the simulated response to a request."""
        number = self._world.tick()
        path = urlsplit(request.url).path
        route = (path.startswith(_BASE) and routes.find(path.removeprefix(_BASE))) or _NOWHERE
        headers = {"Render-Request-Id": str(uuid5(NAMESPACE_URL, f"{self._world.profile.account}/{number}"))}
        reply = self._answer(request, route)
        return answer(*reply, headers)

    def _answer(self, request: Request, route: RouteMatch) -> Reply:
        try:
            operation = _operation(request, route)
            status, ending = self._failures.of(operation.__name__)
            if status:
                raise Refusal(status, "simulated failure")
            return operation(self._world, Call(route.segments, _query(request, route.path), _body(request), ending))
        except Refusal as refusal:
            return Reply(refusal.status, {"message": refusal.message})


def _operation(request: Request, route: RouteMatch) -> Callable[[World, Call], Reply]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not _is_bearer(headers.get("authorization", "")):
        raise Refusal(401, "Unauthorized")
    if not re.search(r"application/json|application/\*|\*/\*", str(headers.get("accept", "*/*"))):
        raise Refusal(406, "only application/json is served")
    if not route.operations:
        raise Refusal(404, "not found")
    if request.method not in route.operations:
        raise Refusal(405, "method not allowed")
    return route.operations[request.method]


def _is_bearer(header: str | Secret) -> bool:
    return bool(header) if isinstance(header, Secret) else re.fullmatch(r"Bearer \S+", header) is not None


def _query(request: Request, path: str) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for name, value in request.query:
        query.setdefault(name, []).append(str(value))
    complaint = complaint_about_query(path, query) if request.method == "GET" else None
    if complaint:
        raise Refusal(400, f"invalid query: {complaint}")
    return query


def _body(request: Request) -> object:
    if not request.content:
        return None
    kinds = [str(value) for name, value in request.headers.items() if name.lower() == "content-type"]
    if not kinds or not kinds[0].startswith("application/json"):
        raise Refusal(400, "invalid JSON: the content type is not application/json")
    try:
        return json.loads(request.content)
    except ValueError as error:
        raise Refusal(400, f"invalid JSON: {error}") from None
