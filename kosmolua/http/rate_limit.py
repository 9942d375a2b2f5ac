"""Rate limiting: reads a service's rate limits from the headers of its responses, and delays requests accordingly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING

from kosmolua.clock import Until
from kosmolua.errors import CallError
from kosmolua.expressions import regex
from kosmolua.http.messages import Request, Response, origin

if TYPE_CHECKING:
    from kosmolua.http.shared_limit import SharedLimit

MIN_EPOCH = 1e9
"""A ``Ratelimit-Reset`` above this is a point in time, as GitHub sends it. A smaller value is the number
of seconds left, as Render sends it.

Render's page on rate limiting also calls the value a point in time, but Render's answers and OpenAPI document do not.
"""
ROUNDING = 1.5
"""How many seconds two responses can differ about the end of the same time window, since they name whole seconds."""
_NUMBER = regex(r"\s*(-?\d{1,18}(?:\.\d+)?)\s*(?:,|$)")
POLL_INTERVAL = 1.0
"""The most seconds to wait at a time, since the deadline of the call can change in the meantime."""
MIN_PAUSE = 0.1
"""Seconds that other processes wait if a service refuses a request and does not say for how long."""
_LIMIT, _REMAINING, _RESET = ((f"Ratelimit-{what}", f"X-Ratelimit-{what}") for what in ("Limit", "Remaining", "Reset"))
MAX_KNOWN = 1000
"""If more buckets and routes than this are remembered, those that limit nothing are removed."""


def is_throttled(response: Response) -> bool:
    """Return True for 429, or GitHub's 403 because of a rate limit.

    GitHub's has ``Retry-After``, or no requests left and a text that mentions the rate limit: without that text, the
    last allowed request could have failed for another reason.
    """
    if response.status != 403:
        return response.status == 429
    used_up = _number(response, *_REMAINING) == 0 and b"rate limit" in response.body.lower()
    return used_up or response.header("Retry-After") is not None


def retry_after(response: Response, *, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that the service asks to wait before a retry, or None.

    ``Retry-After`` has a number or a date (RFC 9110, 10.2.3). Without it, ``Ratelimit-Reset`` counts if a limit was
    reached. ``clock`` is the time since 1970, for responses without a ``Date``.
    """
    asked = response.header("Retry-After")
    if asked is None:
        return resets_in(response, clock=clock) if is_throttled(response) else None
    seconds = _number(response, "Retry-After")
    if seconds is None and (date := _date(asked)):
        seconds = date - _sent_at(response, clock)
    return None if seconds is None else max(seconds, 0.0)


def resets_in(response: Response, *, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds until the service resets its count (``Ratelimit-Reset``), or None; ``clock`` as above."""
    reset = _number(response, *_RESET)
    if reset is not None and reset > MIN_EPOCH:
        reset -= _sent_at(response, clock)
    return None if reset is None else max(reset, 0.0)


def _number(response: Response, *names: str) -> float | None:
    """Return the number in the first of these headers that the response has, or None."""
    text = next(filter(None, map(response.header, names)), "")
    found = _NUMBER.match(text)
    return float(found[1]) if found else None


def _sent_at(response: Response, clock: Callable[[], float]) -> float:
    return _date(response.header("Date") or "") or clock()


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass
class _Bucket:
    """One rate limit, from the latest response (of the route ``learned_from``) to requests that share it.

    ``left`` requests are left and ``under_way`` have no response yet; ``resets`` is the monotonic time of the reset.
    """

    left: float = math.inf
    resets: float = math.inf
    under_way: int = 0
    learned_from: Hashable = None

    def learn(self, response: Response, route: Hashable, now: float) -> None:
        """Update from a response's headers, unless they are about an earlier window."""
        refused = is_throttled(response)
        left = 0 if refused else _number(response, *_REMAINING)
        seconds = None if left is None else retry_after(response) if refused else resets_in(response)
        if left is None or seconds is None:
            self.left = math.inf if now >= self.resets and not refused else self.left
            return
        ends = now + seconds
        if now < self.resets < math.inf:
            if ends < self.resets - ROUNDING:
                return
            if ends <= self.resets + ROUNDING:
                left, ends = min(left, self.left), max(ends, self.resets)
        self.left, self.resets, self.learned_from = left, ends, route


class RateLimit:
    """Delays an account's requests to the rate that the service allows. Thread-safe.

    A service counts requests in groups, here called buckets, and says in each response how many are left. Reads at one
    origin share a bucket if the service names the same limit; a write shares it with those of the same method and
    address. Requests without a response count as used, so that a hundred threads do not all send the last allowed one.
    ``shared`` tells other processes that a limit is used up.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, shared: SharedLimit | None = None) -> None:
        self._clock = clock
        self._shared = shared
        self._turns = Condition()
        self._buckets: dict[Hashable, _Bucket] = {}
        self._families: dict[Hashable, Hashable] = {}

    @contextmanager
    def turn(self, request: Request, until: Until) -> Iterator[Callable[[Response], None]]:
        """Wait until the rate limits allow the request of the block, and yield what to call with its response.

        The response's headers update the limits at the block's end.

        Raises:
            CallError: The limits do not allow the request before the deadline. The code is ``rate_limited``.
        """
        answers: list[Response] = []
        route: Hashable = (request.method, request.url)
        if request.safe:
            route = origin(request.url), request.route or request.url
        with self._turns:
            if len(self._buckets) + len(self._families) > MAX_KNOWN:
                self._forget_idle()
            bucket = self._buckets.setdefault(self._families.get(route, route), _Bucket())
            while pause := self._pause(request, route, bucket, until):
                self._turns.wait(min(pause, POLL_INTERVAL))
            bucket.under_way += 1
        try:
            yield answers.append
        finally:
            with self._turns:
                bucket.under_way -= 1
                for answer in answers:
                    if self._shared and is_throttled(answer):
                        self._shared.close(origin(request.url), max(retry_after(answer) or 0.0, MIN_PAUSE))
                    limit = _number(answer, *_LIMIT)
                    if request.safe and limit is not None:
                        self._families[route] = family = origin(request.url), limit
                        bucket = self._buckets.setdefault(family, bucket)
                    bucket.learn(answer, route, self._clock())
                self._turns.notify_all()

    def _pause(self, request: Request, route: Hashable, bucket: _Bucket, until: Until) -> float:
        now = self._clock()
        closed = self._shared.left(origin(request.url)) if self._shared else 0.0
        if 0 < closed < until() - now:
            return closed
        # After a reset, one request is sent alone and learns how many are left.
        left = max(bucket.left, 1) if now >= bucket.resets else bucket.left
        if left > bucket.under_way:
            return 0
        opens, time_left = bucket.resets - now, until() - now
        if max(opens, 0) < time_left:
            return opens if opens > 0 else time_left
        if bucket.learned_from != route:
            return 0  # the limit is known from another route, and the service may count this route separately
        raise CallError(
            "rate_limited",
            f"{request.line} was not sent: the service allows no more such requests for {max(opens, 1):.0f} s, "
            f"and the call has to end before that",
            retryable=True,
            retry_after=max(opens, 1),
        )

    def _forget_idle(self) -> None:
        now = self._clock()
        self._families.clear()
        idle = [
            key for key, bucket in self._buckets.items() if bucket.under_way == 0 and not now < bucket.resets < math.inf
        ]
        for key in idle:
            del self._buckets[key]
