"""Render with its rate limits on, see https://api-docs.render.com/reference/rate-limiting."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import urlsplit

from kosmolua.plugin import Request, Response
from support.render2_account import Simulator, answer


class Rule(NamedTuple):
    """A rate limit: the number of requests that are allowed within a number of seconds."""

    requests: int
    seconds: float


_READS = Rule(400, 60)
_CREATIONS = Rule(20, 3600)
_JOBS = Rule(2000, 3600)
_DOMAINS = Rule(50, 60)
_ONE_SERVICE = Rule(10, 60)
_OTHER_WRITES = Rule(30, 60)
_OF_ONE_SERVICE = re.compile(r"/services/([^/]+)(?:/deploys|/suspend|/resume|/scale)?")


def rule_of(method: str, path: str) -> Rule:
    """Return the rate limit that applies to a request."""
    if method == "GET":
        return _READS
    if method == "POST" and path in ("/services", "/postgres", "/key-value"):
        return _CREATIONS
    if method == "POST" and path.endswith("/jobs"):
        return _JOBS
    if "custom-domains" in path:
        return _DOMAINS
    return _ONE_SERVICE if method in ("POST", "PATCH") and _OF_ONE_SERVICE.fullmatch(path) else _OTHER_WRITES


@dataclass
class _Window:
    ends: float
    left: int


class LimitedRender:
    """A ``send`` that simulates Render and counts requests in fixed windows of the clock's time, some per service."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._simulator = Simulator("default")
        self._windows: dict[tuple[Rule, str], _Window] = {}

    def __call__(self, request: Request) -> Response:
        path = urlsplit(request.url).path.removeprefix("/v1")
        rule, now = rule_of(request.method, path), self._clock()
        key = (rule, path.split("/")[2] if rule is _ONE_SERVICE else "")
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            window = self._windows[key] = _Window(now + rule.seconds, rule.requests)
        left = max(0, window.left - 1)
        seconds = str(math.ceil(window.ends - now))
        headers = {"Ratelimit-Limit": str(rule.requests), "Ratelimit-Remaining": str(left), "Ratelimit-Reset": seconds}
        if window.left:
            response = self._simulator(request)
        else:
            response = answer(429, {"message": "rate limit exceeded"})
            headers["Retry-After"] = seconds
        window.left = left
        return replace(response, headers={**response.headers, **headers})
