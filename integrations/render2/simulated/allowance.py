"""Rate limits of the simulator, by kind of request. See https://api-docs.render.com/reference/rate-limiting."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


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


def rule_of(method: str, path: str) -> Rule:
    """Return the rate limit that applies to a request, by its method and the template of its path."""
    if method == "GET":
        return _READS
    if method == "POST" and path in ("/services", "/postgres", "/key-value"):
        return _CREATIONS
    if (method, path) == ("POST", "/services/{service_id}/jobs"):
        return _JOBS
    if "custom-domains" in path:
        return _DOMAINS
    of_one = ("", "/deploys", "/suspend", "/resume", "/scale")
    touches_one = method in ("POST", "PATCH") and path in [f"/services/{{service_id}}{end}" for end in of_one]
    return _ONE_SERVICE if touches_one else _OTHER_WRITES


@dataclass
class _Window:
    ends: float
    left: int


class Allowance:
    """Counts requests in fixed windows of time, some per service. Without a clock, every request is allowed."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._windows: dict[tuple[Rule, str], _Window] = {}

    def take(self, rule: Rule, service_id: str) -> tuple[bool, dict[str, str]]:
        """Count a request. Return whether the request is allowed, and the rate limit headers for its response."""
        if self._clock is None:
            return True, _headers(rule, rule.requests - 1, rule.seconds)
        now = self._clock()
        key = (rule, service_id if rule is _ONE_SERVICE else "")
        window = self._windows.get(key)
        if window is None or window.ends <= now:
            window = self._windows[key] = _Window(now + rule.seconds, rule.requests)
        allowed = window.left > 0
        window.left = max(0, window.left - 1)
        headers = _headers(rule, window.left, window.ends - now)
        return allowed, headers if allowed else headers | {"Retry-After": headers["Ratelimit-Reset"]}


def _headers(rule: Rule, left: int, seconds: float) -> dict[str, str]:
    """Return the rate limit headers of a response. ``Ratelimit-Reset`` is ``seconds`` from now, rounded up."""
    return {
        "Ratelimit-Limit": str(rule.requests),
        "Ratelimit-Remaining": str(left),
        "Ratelimit-Reset": str(math.ceil(seconds)),
    }
