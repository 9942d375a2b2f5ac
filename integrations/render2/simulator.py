"""A Render that runs nowhere: it answers requests as https://api.render.com does, from a state of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from threading import Lock
from time import time
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from kosmolua.plugin import Request, Response, Secret

from .simulated.allowance import Allowance, rule_of
from .simulated.call import Call, Operation, Refusal, Reply
from .simulated.failures import Failures
from .simulated.operations import NAMES, OPERATIONS
from .simulated.queries import complaint_about_query
from .simulated.world import World

_BASE = "/v1"
_SLOT = re.compile(r"\\{(\w+)\\}")
_PATHS = {path: re.compile(_SLOT.sub(r"(?P<\1>[^/]+)", re.escape(path))) for path in OPERATIONS}


class Simulator:
    """Answers for one account. It is a ``Send``: a request goes in, a response comes out.

    It starts with the same data each time, keeps what requests change, and is as strict as Render: a missing key is
    401, a body or a query that does not fit is 400, an id that does not exist is 404. A deploy or a job that was
    started goes on as time goes by.

    Args:
        account: Whose data to start with; ``default``, ``production`` and ``staging`` differ, and so does any other.
        rate_limited: Whether to enforce Render's documented rate limits, by the clock.
        clock: Tells the time in seconds since 1970; without it, each request takes a second, and nothing else does.
        failures: By the name of a function, such as ``trigger_deploy``, how what it starts ends, such as
            ``build_failed``, or the HTTP status that it is answered with, such as ``503``.
        state: What ``dump`` of an earlier simulator of this account returned.

    Raises:
        ValueError: A failure is not one that can be, or the state is not one of this account.
    """

    def __init__(
        self,
        account: str,
        *,
        rate_limited: bool = False,
        clock: Callable[[], float] | None = None,
        failures: Mapping[str, str] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._account = account
        self._world = World(account, clock, state)
        self._allowance = Allowance((clock or time) if rate_limited else None)
        self._failures = Failures(failures or {}, NAMES)
        self._lock = Lock()

    def dump(self) -> dict[str, Any]:
        """Return everything that the account holds as plain values, which JSON can carry."""
        with self._lock:
            return self._world.dump()

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        with self._lock:
            number = self._world.tick()
            path, segments = _route(request)
            allowed, headers = self._allowance.take(rule_of(request.method, path), segments.get("service_id", ""))
            headers["Render-Request-Id"] = str(uuid5(NAMESPACE_URL, f"{self._account}/{number}"))
            if not allowed:
                return _response(Reply(429, {"message": "rate limit exceeded"}), headers)
            return _response(self._answer(request, path, segments), headers)

    def _answer(self, request: Request, path: str, segments: dict[str, str]) -> Reply:
        try:
            operation = _operation(request, path)
            status = self._failures.status(operation.__name__)
            if status:
                raise Refusal(status, "simulated failure")
            ending = self._failures.ending(operation.__name__)
            return operation(self._world, Call(segments, _query(request, path), _body(request), ending))
        except Refusal as refusal:
            return Reply(refusal.status, {"message": refusal.message})


def _route(request: Request) -> tuple[str, dict[str, str]]:
    """Return the template that a request's path fits, and what stands in its places; nothing where none fits."""
    whole = urlsplit(request.url).path
    for path, pattern in _PATHS.items():
        match = pattern.fullmatch(whole.removeprefix(_BASE))
        if match and whole.startswith(_BASE):
            return path, {name: unquote(value) for name, value in match.groupdict().items()}
    return "", {}


def _operation(request: Request, path: str) -> Operation:
    headers = {name.lower(): value for name, value in request.headers.items()}
    if not _is_bearer(headers.get("authorization", "")):
        raise Refusal(401, "Unauthorized")
    if not re.search(r"application/json|application/\*|\*/\*", str(headers.get("accept", "*/*"))):
        raise Refusal(406, "only application/json is served")
    if not path:
        raise Refusal(404, "not found")
    if request.method not in OPERATIONS[path]:
        raise Refusal(405, "method not allowed")
    return OPERATIONS[path][request.method]


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


def _response(reply: Reply, headers: dict[str, str]) -> Response:
    if reply.body is None:
        return Response(reply.status, headers)
    body = json.dumps(reply.body, ensure_ascii=False).encode()
    return Response(reply.status, headers | {"Content-Type": "application/json"}, body)
