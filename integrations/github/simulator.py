"""A simulator of GitHub. It answers requests as https://api.github.com does, but from data in memory."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from kosmolua.plugin import SIMULATION_START, Request, Response
from kosmolua.testing import SimulatedService, answer

from .paging import LARGEST_PAGE
from .simulated.call import Answer, Call, Listed, Refusal, routes
from .simulated.world import World

_USUAL_PAGE = 30
_ENTERPRISE = "/api/v3"
_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}")


class Simulator(SimulatedService):
    """Simulates GitHub for one account. A simulator is a ``Send``: called with a request, it returns a response.

    Every simulator starts with the same data, and keeps the changes that requests make. Any token counts as a token of
    the account's user. Requests without a token can read only public data. Paths below ``/api/v3`` work too, as on an
    Enterprise Server.

    Args:
        account: The name of the account, which determines its data.
        state: What :meth:`dump` of an earlier simulator of this account returned, or None to start anew.

    Raises:
        ValueError: ``state`` does not come from a simulator of this account.
    """

    def __init__(self, account: str, *, state: Mapping[str, Any] | None = None) -> None:
        self._world = World(account, state)
        super().__init__(self._world)

    def respond(self, request: Request) -> Response:
        """Return the simulated response to a request."""
        path = urlsplit(request.url).path.removeprefix(_ENTERPRISE)
        signed_in = any(name.lower() == "authorization" for name in request.headers)
        if path == "/rate_limit":  # it counts nothing
            limit = 5000 if signed_in else 60
            core = {"limit": limit, "remaining": limit, "used": 0, "reset": int(SIMULATION_START) + 3600}
            return answer(200, {"resources": {"core": core}})
        try:
            return self._answer(request, path, signed_in=signed_in)
        except Refusal as refusal:
            return answer(refusal.status, refusal.body)

    def _answer(self, request: Request, path: str, *, signed_in: bool) -> Response:
        route = routes.find(path)
        if route is None or request.method not in route.operations:
            raise Refusal(404, "Not Found")
        query = {name: str(value) for name, value in request.query}
        call = Call(path, route.segments, query, json.loads(request.content or b"null"), signed_in)
        found = route.operations[request.method](self._world, call)
        if isinstance(found, Listed):
            return _page(found, request, query)
        if isinstance(found, Answer):
            return answer(found.status, found.body)
        return answer(201 if request.method == "POST" else 200, found)


def _page(listed: Listed, request: Request, query: dict[str, str]) -> Response:
    size = min(_above_zero(query.get("per_page", ""), _USUAL_PAGE), LARGEST_PAGE)
    number = _above_zero(query.get("page", ""), 1)
    if (number - 1) * size >= listed.most:
        raise Refusal(422, "Only the first 1000 search results are available")
    items = listed.items[(number - 1) * size : number * size]
    last = math.ceil(min(len(listed.items), listed.most) / size)
    links = _links(listed.path, request, query, number, last)
    body: object = items
    if listed.key is not None:
        searched = {} if listed.most == math.inf else {"incomplete_results": False}
        body = {"total_count": len(listed.items), **searched, listed.key: items}
    return answer(200, body, {"Link": links} if links else None)


def _above_zero(text: str, otherwise: int) -> int:
    """Return the number in a query; like GitHub, what is none is not there."""
    return int(text) if _NUMBER.fullmatch(text) else otherwise


def _links(path: str, request: Request, query: dict[str, str], number: int, last: int) -> str:
    """Return the value of a page's ``Link`` header, or an empty text if there is only one page."""
    url = urlsplit(request.url)
    base = f"{url.scheme}://{url.netloc}{_ENTERPRISE if url.path.startswith(_ENTERPRISE) else ''}{path}"
    back = {"prev": number - 1, "first": 1} if number > 1 else {}
    on = {"next": number + 1, "last": last} if number < last else {}
    pages = (back | on).items()
    return ", ".join(f'<{base}?{urlencode({**query, "page": page})}>; rel="{rel}"' for rel, page in pages)
