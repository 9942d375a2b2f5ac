"""One render2 account in front of any ``send``, called as Lua calls it: by name, with named arguments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
from kosmolua.plugin import Request, Response, Secret, Send

KEY = "rnd_SECRET"
BASE = "https://api.render.com/v1"
HEADERS: dict[str, Any] = {"Authorization": f"Bearer {KEY}", "Accept": "application/json"}
extended = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict).load("render2").integration
integration = sys.modules[extended.account.__module__].integration
Simulator = type(integration.simulate("default"))


def account(send: Send, **settings: Any) -> Callable[..., Any]:
    """Return a function that calls those of a fresh account: ``call("get_service", service_id="srv-1")``."""
    opened = integration.account(Secret(KEY), **settings).open(send)

    def call(name: str, /, **arguments: Any) -> Any:
        function = integration.functions[name]
        return function.handler(opened, **function.bind(name, [arguments]))

    return call


def simulated(name: str = "default", **options: Any) -> Callable[..., Any]:
    """Return a function that calls an account of a fresh simulator."""
    return account(Simulator(name, **options))


class Canned:
    """A ``send`` that gives the same answers to whoever asks, one after the other, and remembers the requests.

    Args:
        replies: For each request the JSON of a 200, a :class:`Response`, or an exception to raise.
    """

    def __init__(self, *replies: Any) -> None:
        self.requests: list[Request] = []
        self._replies = iter(replies)

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Response) else answer(200, reply)

    @property
    def lines(self) -> list[str]:
        """Each request as a line such as ``GET /services?limit=20``, the base URL left out."""
        return [line_of(request) for request in self.requests]


def answer(status: int, body: Any = None) -> Response:
    """Return a response with a JSON body, or with none."""
    return Response(status, {}, b"" if body is None else json.dumps(body).encode())


def line_of(request: Request) -> str:
    """Return a request's method, path and query on one line, the query not encoded."""
    path = request.url.partition("/v1")[2]
    query = "&".join(f"{name}={value}" for name, value in request.query)
    return f"{request.method} {path}{'?' if query else ''}{query}"


def body_of(request: Request) -> Any:
    """Return a request's body, decoded."""
    return json.loads(request.body) if request.body is not None else None


def page(key: str, things: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return things as a page of one of Render's lists."""
    return [{key: thing, "cursor": f"after-{number}"} for number, thing in enumerate(things, start=1)]


def ask(
    send: Send, method: str, path: str, *query: tuple[str, str], body: Any = None, headers: dict[str, Any] | None = None
) -> Response:
    """Return the response to a request that is made by hand, with a key unless other headers are given."""
    headers = HEADERS if headers is None else headers
    content = None if body is None else json.dumps(body).encode()
    if content is not None:
        headers = headers | {"Content-Type": "application/json"}
    return send(Request(method, BASE + path, query, headers, content))


def owner_of(send: Send) -> str:
    """Return the id of the workspace that an account reaches."""
    owner: str = ask(send, "GET", "/owners").json()[0]["owner"]["id"]
    return owner
